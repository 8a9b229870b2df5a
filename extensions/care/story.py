"""The demo's story: what two coordinators and somebody without rights to patients' data see of one task in one hour.

It is told over HTTP and Bayeux alone, by whatever clients it is given: as a test, and as ``bayeux-server demo --play``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol

import aiohttp

from extensions.authorization.revocation import CHANNEL as REVOKED_CHANNEL

Event = Mapping[str, Any]

#: How long anybody waits for anything, seconds.
PATIENCE_S: Final = 15.0
#: What is promised: whoever loses a permission is silent within so many seconds.
SILENT_WITHIN_S: Final = 5.0
_ASK_AGAIN_S: Final = 0.05

_TEAM: Final = "team_east"


class StoryError(Exception):
    """Something that belongs to the story did not happen."""


class Wire(Protocol):
    """One person's Bayeux client, connected."""

    async def subscribe(self, channel: str, told: Callable[[Event], None]) -> None:
        """Subscribe; ``told`` gets the data of each event.

        Raises:
            PermissionError: If the server refuses.
        """

    async def send(self, channel: str, data: Event) -> None:
        """Publish on a service channel."""


class Line(NamedTuple):
    """One line of the play: who, and what they do or see. ``scene`` lines have nobody."""

    who: str
    text: str
    is_scene: bool = False


#: Hears the play, line by line.
Tell = Callable[[Line], Awaitable[None]]


class Answer(NamedTuple):
    """What a request was answered."""

    status: int
    body: dict[str, Any]

    def expect(self, status: int) -> dict[str, Any]:
        """Return the body.

        Raises:
            StoryError: If it is another status.
        """
        if self.status != status:
            raise StoryError(f"answered {self.status} {self.body.get('error', '')}, not {status}")
        return self.body


class Person:
    """Somebody with a page open.

    Args:
        user_id: As in the token.
        name: How the play calls them.
        wire: Their Bayeux client.
        http: With the server's address, and their token in its headers.

    Attributes:
        heard: How many events have come.
    """

    def __init__(self, user_id: str, name: str, wire: Wire, http: aiohttp.ClientSession) -> None:
        self.user_id = user_id
        self.name = name
        self._wire = wire
        self._http = http
        self.heard = 0
        self._waiting: list[Event] = []
        self._came = asyncio.Event()

    async def subscribe(self, *channels: str) -> None:
        """Subscribe to channels, one after the other."""
        for channel in channels:
            await self._wire.subscribe(channel, self._hear)

    async def sends(self, kind: str, task_id: str, **fields: object) -> None:
        """Tell the server something about presence."""
        await self._wire.send(
            "/service/presence", {"type": kind, "task_id": task_id, "user_id": self.user_id, **fields}
        )

    async def hears(self, kind: str, when: Callable[[Event], bool] = lambda _: True, **fields: object) -> Event:
        """Wait for an event that nobody has waited for yet. Events of several channels come in any order.

        Args:
            when: What else must hold of it.
            fields: What it must carry.

        Raises:
            StoryError: If it does not come.
        """
        wanted = {"type": kind, **fields}
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for index, event in enumerate(self._waiting):
                        if wanted.items() <= event.items() and when(event):
                            return self._waiting.pop(index)
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise StoryError(f"{self.name} heard no {kind}") from None

    async def asks(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request; ``If_Match="..."`` becomes the header ``If-Match``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._http.request(method, path, json=body, headers=named) as response:
            return Answer(response.status, await response.json())

    def _hear(self, event: Event) -> None:
        self.heard += 1
        self._waiting.append(event)
        self._came.set()


class Cast(NamedTuple):
    """Who plays, and what is done behind the scene.

    Attributes:
        sarah: A coordinator of the team.
        tom: Another.
        rita: Of the team's support staff: no rights to patients' data.
        revoke: Takes Rita off the team.
    """

    sarah: Person
    tom: Person
    rita: Person
    revoke: Callable[[], Awaitable[None]]


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        task_id: The task it was about.
        conflict: The body of the refusal that Tom got.
        redacted: What Rita saw of the change that Sarah saved.
        silent_after_s: Seconds from the revocation until nothing was shown to Rita any more.
    """

    task_id: str
    conflict: Mapping[str, Any]
    redacted: Event
    silent_after_s: float


async def play(cast: Cast, tell: Tell) -> Outcome:
    """Play the story from its beginning to the revocation; the audit is read when the server has stopped.

    Raises:
        StoryError: If anything does not happen as told.
    """
    return await _Play(cast, tell).run()


class _Play:
    def __init__(self, cast: Cast, tell: Tell) -> None:
        self._cast = cast
        self._tell = tell
        self._task_id = ""
        self._version = 0

    async def run(self) -> Outcome:
        await self._open_the_task()
        await self._edit_together()
        conflict, redacted = await self._save_both()
        await self._hand_over()
        silent_after_s = await self._revoke()
        return Outcome(self._task_id, conflict, redacted, silent_after_s)

    async def _open_the_task(self) -> None:
        sarah, tom, rita, _ = self._cast
        await self._scene("Two coordinators open the same task")
        page = (await sarah.asks("GET", f"/api/tasks?team_id={_TEAM}&status=in_progress&limit=1")).expect(200)
        task = page["items"][0]
        self._task_id, self._version = task["id"], task["version"]
        channel = f"/task/{self._task_id}"
        await sarah.subscribe(channel, f"/activity_feed/{_TEAM}", f"/notifications/{sarah.user_id}")
        await sarah.sends("presence.user_joined", self._task_id, state="viewing")
        await sarah.hears("presence.user_joined", task_id=self._task_id)
        await self._line(
            sarah, f"opens {self._task_id}, version {self._version}: “{task['title']}”, {task['member_name']}"
        )
        await rita.subscribe(channel, REVOKED_CHANNEL)
        seen = (await rita.asks("GET", f"/api/tasks/{self._task_id}")).expect(200)
        self._require(seen["redacted"] is True and "title" not in seen, "Rita is shown what is not hers to see")
        await self._line(
            rita, f"opens it too, without rights to patients' data: she sees {seen['status']}, {seen['priority']}"
        )
        await tom.subscribe(channel, f"/activity_feed/{_TEAM}", f"/notifications/{tom.user_id}")
        snapshot = await tom.hears("presence.snapshot", task_id=self._task_id)
        here = [user["user_name"] for user in snapshot["users"]]
        self._require(sarah.name in here, "Sarah is not in the snapshot")
        await tom.sends("presence.user_joined", self._task_id, state="viewing")
        await self._line(tom, f"opens it, and sees who is here: {', '.join(here)}")
        await sarah.hears("presence.user_joined", lambda event: event["user"]["user_id"] == tom.user_id)
        await self._line(sarah, "sees Tom come")

    async def _edit_together(self) -> None:
        sarah, tom, _, _ = self._cast
        await self._scene("One edits, the other is warned")
        await sarah.sends("presence.state_changed", self._task_id, new_state="editing")
        await tom.hears("presence.state_changed", user_id=sarah.user_id, new_state="editing")
        await self._line(sarah, "begins to edit")
        await self._line(tom, "is warned: Sarah Johnson is editing, your changes may conflict with hers")
        await sarah.sends("presence.typing", self._task_id, field_name="notes")
        await tom.hears("presence.typing", user_id=sarah.user_id, field_name="notes")
        await self._line(tom, "sees that she types in the notes, and edits all the same")
        await tom.sends("presence.state_changed", self._task_id, new_state="editing")
        await sarah.hears("presence.state_changed", user_id=tom.user_id, new_state="editing")

    async def _save_both(self) -> tuple[Mapping[str, Any], Event]:
        sarah, tom, rita, _ = self._cast
        await self._scene("Both save")
        base = self._version
        saved = await self._change(sarah, {"notes": "Called: prefers Tuesday morning."}, base)
        await self._line(sarah, f"saves new notes: version {saved['version']}")
        redacted = await rita.hears("task.updated", version=saved["version"])
        self._require(redacted["task"]["redacted"] is True, "the event was not redacted for Rita")
        self._require("Tuesday" not in str(redacted), "Rita was shown the notes")
        await self._line(rita, f"hears that {', '.join(redacted['changed_fields'])} changed, and not to what")
        await tom.hears("task.base_moved", task_id=self._task_id)
        await self._line(tom, "is told that the task moved on under his edit; he saves the priority anyway")
        wish = {"priority": "low" if saved["priority"] == "urgent" else "urgent"}
        conflict = (await self._try_change(tom, wish, base)).expect(409)
        self._require(conflict["error"] == "CONFLICT" and conflict["mergeable"], "there was no conflict to merge")
        theirs, mine = ", ".join(conflict["their_changed_fields"]), ", ".join(conflict["your_changed_fields"])
        await self._line(tom, f"gets the conflict: she changed {theirs}, he {mine}; both can be had")
        resolution = {"resolution": "merge", "conflict_id": conflict["conflict_id"]}
        merged = await self._change(tom, wish, conflict["current_version"], **resolution)
        self._require(merged["notes"] == saved["notes"], "the merge lost Sarah's notes")
        await self._line(
            tom, f"merges: version {merged['version']} has her notes and his priority {merged['priority']}"
        )
        await sarah.hears("task.updated", version=merged["version"])
        await self._line(sarah, "sees the merged task")
        return conflict, redacted

    async def _hand_over(self) -> None:
        sarah, tom, _, _ = self._cast
        await self._scene("The feed and a notification follow")
        entry = await sarah.hears("task_updated")
        await self._line(
            sarah, f"reads in the team's feed: {entry['actor']['user_name']} {entry['action_description']}"
        )
        message = {"assigned_to": tom.user_id, "message": "You know this member best"}
        if (await sarah.asks("GET", f"/api/tasks/{self._task_id}")).expect(200).get("assigned_to") == tom.user_id:
            (await self._assign(sarah, {"assigned_to": sarah.user_id})).expect(200)
        (await self._assign(sarah, message)).expect(200)
        await self._line(sarah, "assigns the task to Tom")
        note = await tom.hears("notification.task_assigned", task_id=self._task_id)
        unread = (await tom.asks("GET", "/api/notifications?unread=true&limit=1")).expect(200)["unread_count"]
        await self._line(
            tom, f"is notified: “{note['message']}” from {note['assigned_by']['user_name']}; {unread} unread"
        )

    async def _revoke(self) -> float:
        sarah, tom, rita, revoke = self._cast
        await self._scene("Rita leaves the team")
        await rita.hears("task.assigned", task_id=self._task_id)
        await revoke()
        began_s = monotonic()
        while (await rita.asks("GET", f"/api/tasks/{self._task_id}")).status != 404:
            if monotonic() - began_s > SILENT_WITHIN_S:
                raise StoryError("the revocation did not take effect in time")
            await asyncio.sleep(_ASK_AGAIN_S)
        silent_after_s = monotonic() - began_s
        ended = await rita.hears("subscription.revoked")
        self._require(ended["subscriptions"] == [f"/task/{self._task_id}"], "Rita was told of other subscriptions")
        await self._line(rita, "is told that she may not see the task any more")
        heard = rita.heard
        current = (await sarah.asks("GET", f"/api/tasks/{self._task_id}")).expect(200)
        saved = await self._change(sarah, {"notes": "Booked for Tuesday."}, current["version"])
        await tom.hears("task.updated", version=saved["version"])
        # A channel of the task that she has not asked for before: stock clients do not ask twice for one.
        await self._refuse(rita, f"/task/{self._task_id}/presence")
        # Her own channel answers behind all that may have been on its way to her.
        await rita.subscribe(f"/notifications/{rita.user_id}")
        self._require(rita.heard == heard, "Rita heard something after she was revoked")
        await self._line(sarah, f"saves again: version {saved['version']}")
        await self._line(tom, "sees it")
        await self._line(rita, f"hears nothing: her page went silent after {silent_after_s * 1_000:.0f} ms")
        return silent_after_s

    async def _refuse(self, who: Person, channel: str) -> None:
        try:
            await who.subscribe(channel)
        except PermissionError:
            return
        raise StoryError(f"{who.name} may still subscribe")

    async def _change(self, who: Person, changes: Mapping[str, object], version: int, **more: str) -> dict[str, Any]:
        saved = (await self._try_change(who, changes, version, **more)).expect(200)
        self._version = saved["version"]
        return saved

    async def _try_change(self, who: Person, changes: Mapping[str, object], version: int, **more: str) -> Answer:
        body = {"changes": changes, **more}
        return await who.asks("PATCH", f"/api/tasks/{self._task_id}", body, If_Match=f'"{version}"')

    async def _assign(self, who: Person, body: Mapping[str, str]) -> Answer:
        return await who.asks("POST", f"/api/tasks/{self._task_id}/assign", body)

    async def _scene(self, text: str) -> None:
        await self._tell(Line("", text, is_scene=True))

    async def _line(self, who: Person, text: str) -> None:
        await self._tell(Line(who.name, text))

    @staticmethod
    def _require(holds: bool, complaint: str) -> None:
        if not holds:
            raise StoryError(complaint)

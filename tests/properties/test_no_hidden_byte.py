"""Every byte sent on every road to somebody without rights to PHI is searched for what was hidden from them."""

import asyncio
import base64
import json
import re
import tempfile
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bayeux_server.server.remote_call import RemoteCall
from channels.tasks.model import User
from extensions.careflow import CAREFLOW
from tests.support.care_world import EAST, EVE, JOHN, MIKE, RITA, SARAH, SERVICE, CareWorld, care_world, token_of
from tests.support.client import Client
from tests.support.examples import examples
from tests.support.production_logs import production_logs

MARK = "Zqphi"
_CURSOR = re.compile(r'"next_cursor":\s*"([^"]+)"')
#: Who watches: one who sees that there is work but not of whom, and one who sees nothing.
WATCHERS = (RITA, EVE)
ROADS = ("websocket", "long-polling", "eventsource", "callback-polling")
OPERATIONS = (
    *("create", "update", "assign", "complete", "note", "contact", "request", "foreign", "dead", "lock", "spy"),
    "fail",
)


class Clinic:
    """Makes PHI, each piece with the mark and a number, does things with it, and keeps every byte the watchers get."""

    def __init__(self, world: CareWorld) -> None:
        self.world = world
        self._numbers = count(1)
        self.bytes: list[tuple[str, str]] = []
        self.tasks: list[dict[str, Any]] = []
        self.members: list[str] = []
        self.requests: list[str] = []
        self.clients: list[tuple[str, Client]] = []
        self.sarah: Client | None = None
        self.mike: Client | None = None

    def phi(self) -> str:
        """A piece of PHI."""
        return f"{MARK}{next(self._numbers)}"

    async def open(self) -> None:
        """Put in the first member and task, and open the watchers' pages."""
        self.world.server.app.server.service("/service/broken")(_broken)
        self.sarah, self.mike = await self.world.page(SARAH), await self.world.page(MIKE)
        await self.member()
        await self.create(RITA)
        for user in WATCHERS:
            for road in ROADS:
                await self.watch(user, road)

    async def watch(self, user: User, road: str) -> Client:
        """Open a watcher's page, which asks for all that is kept and for all that comes."""
        client = await self.world.page(user, transport=road, ack=road == "long-polling", replay=True)
        self.clients.append((f"{road} of {user.user_id}", client))
        for channel in (
            f"/task_list/team/{EAST}",
            f"/activity_feed/{EAST}",
            f"/task/{self.tasks[0]['id']}",
            f"/notifications/{user.user_id}",
            f"/task_list/assigned_to/{user.user_id}",
            f"/task_list/member/{JOHN.id}",
        ):
            await client.subscribe(channel, ext={"replay": {channel: -2}})
        return client

    async def member(self) -> None:
        """A member whose very id is PHI."""
        body = {"id": self.phi(), "name": self.phi(), "team_id": EAST}
        answer = await self.world.ask("POST", "/api/members", SERVICE, body)
        assert answer.status == 201, answer
        self.members.append(body["id"])
        await self.world.granted((SARAH.user_id, "view_phi", "member", body["id"]))

    async def create(self, assignee: User | None = None) -> None:
        """A task, and everything of it is PHI that may be."""
        fields = {"title": self.phi(), "notes": self.phi(), "member_id": self.members[-1], "message": self.phi()}
        if assignee is not None:
            fields["assigned_to"] = assignee.user_id
        self.tasks.append(await self.world.task(**fields))

    async def update(self) -> None:
        """A change, and another on the old version: a conflict."""
        task = self.tasks[-1]
        self.tasks[-1] = await self.world.change(task, notes=self.phi(), title=self.phi())
        for changes in ({"notes": "mine"}, {"priority": "urgent"}):
            await self.spy_on("PATCH", f"/api/tasks/{task['id']}", {"version": task["version"], "changes": changes})

    async def assign(self) -> None:
        """Given to a watcher, for a reason."""
        body = {"assigned_to": RITA.user_id, "reason": self.phi(), "message": self.phi()}
        await self.changed(await self.world.ask("POST", f"/api/tasks/{self.tasks[-1]['id']}/assign", body=body))

    async def complete(self) -> None:
        """Completed, if it can be."""
        body = {"completion_notes": self.phi()}
        await self.changed(await self.world.ask("POST", f"/api/tasks/{self.tasks[-1]['id']}/complete", body=body))

    async def changed(self, answer: Any) -> None:
        """Keep the task as it is now."""
        if answer.status == 200:
            self.tasks[-1] = answer.body

    async def note(self) -> None:
        """A note on a member."""
        await self.world.ask("POST", f"/api/members/{self.members[-1]}/notes", body={"text": self.phi()})

    async def contact(self) -> None:
        """A member was contacted."""
        body = {"method": "phone", "outcome": "reached", "note": self.phi()}
        await self.world.ask("POST", f"/api/members/{self.members[-1]}/contacts", body=body)

    async def request(self) -> None:
        """A service request, and a note on it."""
        body = {"name": self.phi(), "member_id": self.members[-1]}
        answer = await self.world.ask("POST", "/api/service_requests", body=body)
        self.requests.append(answer.body["id"])
        path = f"/api/service_requests/{self.requests[-1]}/notes"
        await self.world.ask("POST", path, body={"text": self.phi()})

    def event(self, **fields: Any) -> dict[str, Any]:
        """What another service says of the last task."""
        task = self.tasks[-1]
        version = task["version"] + 1
        return {
            "event_id": f"ev_{next(self._numbers)}",
            "type": "task.updated",
            "task_id": task["id"],
            "version": version,
            "task": {"id": task["id"], "notes": self.phi(), "reason": self.phi(), "version": version},
            "changed_fields": ["notes"],
            "changed_by": {"user_id": SERVICE.user_id, "user_name": "CareFlow", "user_role": "system"},
            "timestamp": "2025-11-13T10:30:00.000Z",
            **fields,
        }

    async def foreign(self) -> None:
        """An event of another service, with fields that nobody foresaw."""
        service = await self.world.page(SERVICE)
        await service.publish(f"/task/{self.tasks[-1]['id']}", self.event(**{self.phi(): self.phi()}))
        read = await self.world.ask("GET", f"/api/tasks/{self.tasks[-1]['id']}")
        await self.changed(read)

    async def dead(self) -> None:
        """A record of another service that cannot be understood."""
        task_id = self.tasks[-1]["id"]
        careflow = self.world.server.app.web[CAREFLOW]
        broken = json.dumps(self.event(version=self.phi())).encode()
        await careflow.ingest("task.updated", task_id, broken)

    async def lock(self) -> None:
        """A field is locked, taken over for a reason, and typed in."""
        assert self.sarah is not None
        assert self.mike is not None
        task_id = self.tasks[-1]["id"]
        for client, kind, more in (
            (self.sarah, "presence.user_joined", {"state": "editing"}),
            (self.mike, "presence.user_joined", {"state": "editing"}),
            (self.sarah, "lock.acquire", {"field_name": "notes"}),
            (self.mike, "lock.take_over", {"field_name": "notes", "reason": self.phi()}),
            (self.mike, "presence.typing", {"field_name": "notes"}),
            (self.mike, "lock.release", {"field_name": "notes"}),
        ):
            await client.publish("/service/presence", {"type": kind, "task_id": task_id, **more})
        self.world.server.advance(0.2)

    async def fail(self) -> None:
        """Something breaks, and says in its text on what."""
        assert self.sarah is not None
        answer = await self.world.call(self.sarah, "/service/broken", self.phi())
        assert answer["successful"] is False

    async def spy(self) -> None:
        """The watchers ask for whatever can be asked for, and the server tells of itself."""
        task_id, member_id = self.tasks[-1]["id"], self.members[-1]
        for path in (
            f"/api/tasks/{task_id}",
            f"/api/tasks/{task_id}/versions",
            "/api/tasks?sort=title&limit=1",
            "/api/tasks?sort=due_date",
            f"/api/tasks?team_id={EAST}&limit=1",
            f"/api/activity?team_id={EAST}&limit=1",
            f"/api/activity?team_id={EAST}",
            "/api/notifications",
        ):
            await self.spy_on("GET", path)
        for name in ("members", "service_requests"):
            known = {"members": member_id, "service_requests": (self.requests or ["sr"])[-1]}[name]
            await self.spy_on("GET", f"/api/{name}/{known}")
            await self.spy_on("PATCH", f"/api/{name}/{known}", {"name": "x"})
        await self.spy_on("POST", "/api/tasks", {"title": "x", "member_id": member_id})
        await self.spy_on("POST", f"/api/tasks/{task_id}/complete", {"version": 1})
        await self.spy_on("DELETE", f"/api/tasks/{task_id}", None)
        for path in ("/metrics", "/readyz", "/healthz", "/api/openapi.json", "/bayeux"):
            async with self.world.http.get(self.world.server.base + path) as response:
                self.bytes.append((path, await response.text()))
        for _, client in self.clients:
            for channel, data in (
                ("/service/task/get", {"task_id": task_id}),
                ("/service/task/list", {"team_id": EAST}),
                ("/service/task/versions", {"task_id": task_id}),
                ("/service/task/update", {"task_id": task_id, "version": 1, "changes": {"priority": "low"}}),
                ("/service/member/get", {"member_id": member_id}),
                ("/service/activity/list", {"team_id": EAST}),
                ("/service/notification/list", {}),
                ("/service/presence", {"type": "presence.snapshot", "task_id": task_id}),
            ):
                await client.publish(channel, data)
        for letter in await self.world.server.app.web[CAREFLOW].bus.dead_letters.list():
            self.bytes.append(("dead letters", repr(letter)))

    async def spy_on(self, method: str, path: str, body: object = None) -> None:
        """Each watcher sends a request; headers and body of the answer are kept."""
        for user in WATCHERS:
            headers = {"Authorization": f"Bearer {token_of(user)}"}
            async with self.world.http.request(
                method, self.world.server.base + path, headers=headers, json=body
            ) as response:
                text = await response.text()
                self.bytes.append((f"{method} of {user.user_id}", f"{text} {dict(response.headers)}"))
                for cursor in _CURSOR.findall(text):
                    inside = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
                    self.bytes.append((f"cursor of {user.user_id}", repr(inside)))

    async def collected(self) -> list[tuple[str, str]]:
        """Everything that reached a watcher, after what was under way has arrived."""
        last = await self.world.task(title=self.phi(), notes=self.phi(), member_id=self.members[-1])
        for user in WATCHERS:
            for road in ROADS[:2]:
                await self.watch(user, road)  # who comes late is told the past
        for road, client in self.clients:
            if RITA.user_id in road:
                async with asyncio.timeout(5):
                    while f'"{last["id"]}"' not in json.dumps(client.peer.arrays[-20:]):
                        await client.connect(advice={"timeout": 0})
        return [*self.bytes, *((road, json.dumps(client.peer.arrays)) for road, client in self.clients)]


async def _broken(call: RemoteCall) -> object:
    raise ValueError(call.data)


@settings(max_examples=examples(10), suppress_health_check=list(HealthCheck))
@example(operations=["update", "assign", "dead", "lock", "note"])
@example(operations=["create", "fail"])
@given(operations=st.lists(st.sampled_from(OPERATIONS), min_size=3, max_size=10))
def test_nothing_hidden_reaches_who_may_not_see_it(capfd: pytest.CaptureFixture[str], operations: list[str]) -> None:
    async def live() -> list[tuple[str, str]]:
        with tempfile.TemporaryDirectory() as folder:
            async with care_world(Path(folder)) as world:
                clinic = Clinic(world)
                await clinic.open()
                for operation in operations:
                    act: Callable[[], Awaitable[None]] = getattr(clinic, operation)
                    await act()
                await clinic.spy()
                return await clinic.collected()

    capfd.readouterr()
    with production_logs():
        sent = asyncio.run(live())
    log = capfd.readouterr()
    assert log.out or log.err
    leaks = [(road, _around(text)) for road, text in (*sent, ("log", log.out + log.err)) if MARK in text]
    assert leaks == []
    assert {road for road, _ in sent} >= {f"{road} of {user.user_id}" for road in ROADS for user in WATCHERS}


def _around(text: str) -> str:
    place = text.index(MARK)
    return text[max(0, place - 300) : place + 60]


async def test_the_search_would_find_a_leak(tmp_path: Path) -> None:
    """What the watchers must not get is there to be got: who may see it, gets it on every road."""
    async with care_world(tmp_path) as world:
        clinic = Clinic(world)
        clinic.sarah = await world.page(SARAH)
        await clinic.member()
        for road in ROADS:
            clinic.clients.append((road, await world.page(SARAH, f"/task_list/team/{EAST}", transport=road)))
        await clinic.create()
        for _, client in clinic.clients:
            assert MARK in json.dumps(await client.event())

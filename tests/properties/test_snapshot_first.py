"""A subscriber gets a snapshot first, then changes with rising versions, however slow what is asked for them is.

What a page makes of the snapshot and the changes behind it is what a snapshot of the end says.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.extension import SessionExtension
from bayeux_server.server.fanout import View
from bayeux_server.server.session import ServerSession
from channels.presence.events import Snapshot
from extensions.presence.gate import Gate
from tests.support.examples import examples
from tests.unit.extensions.presence.world import Client, World

TASK = "task_1"
CHANNELS = (f"/task/{TASK}", f"/task/{TASK}/presence")
WAYS = (*CHANNELS, f"/task/{TASK}/**")

MESSAGES: tuple[dict[str, str], ...] = (
    {"type": "presence.user_joined", "state": "viewing"},
    {"type": "presence.state_changed", "new_state": "editing"},
    {"type": "presence.typing", "field_name": "notes"},
    {"type": "presence.cursor", "field_name": "notes"},
    {"type": "lock.acquire", "field_name": "notes"},
    {"type": "lock.release", "field_name": "notes"},
    {"type": "presence.user_left"},
)
PEOPLE = st.integers(0, 2)
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("subscribe"), PEOPLE, st.integers(0, len(WAYS) - 1)),
        st.tuples(st.just("tell"), PEOPLE, st.integers(0, len(MESSAGES) - 1)),
        st.tuples(st.just("wait"), PEOPLE, st.sampled_from([0, 50, 100, 300])),
    ),
    max_size=25,
)
#: Turns of the loop that a store, the permissions or the broker take.
PAUSES = st.lists(st.integers(0, 30), min_size=1, max_size=10)


class Page:
    """What a client knows by the events of one channel."""

    def __init__(self) -> None:
        self.version: int | None = None
        self.states: dict[str, str] = {}
        self.locks: dict[str, str] = {}
        self.saw_gap = False

    def take(self, event: dict[str, Any]) -> None:
        """Take an event as the page does."""
        kind, version = event["type"].removeprefix("presence."), event.get("version")
        if kind == "snapshot":
            assert self.version is None or event["version"] >= self.version
            self.states = {user["user_id"]: user["state"] for user in event["users"]}
            self.locks = {lock["field_name"]: lock["user_id"] for lock in event.get("locks", ())}
            self.saw_gap = False
        else:
            assert self.version is not None, "a change came first"
            self._change(kind, event)
        self.version = self.version if version is None else version

    def _change(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "cursor":
            return
        assert self.version is not None
        assert event["version"] > self.version
        self.saw_gap |= event["version"] > self.version + 1
        match kind:
            case "user_joined":
                self.states[event["user"]["user_id"]] = event["user"]["state"]
            case "user_left":
                del self.states[event["user_id"]]
            case "state_changed":
                self.states[event["user_id"]] = event["new_state"]
            case "field_locked":
                self.locks[event["field_name"]] = event["user_id"]
            case "field_unlocked":
                self.locks.pop(event["field_name"], None)


class SlowWorld(World):
    """A world where all that waits takes as many turns of the loop as is said."""

    def __init__(self, pauses: Sequence[int]) -> None:
        super().__init__()
        self._pauses, self._paused = pauses, 0
        self._read, self._publish = self.service.snapshot, self.core.broker.publish
        self.extension.service.snapshot = self._snapshot  # type: ignore[method-assign]
        self.core.broker.publish = self._publish_late  # type: ignore[method-assign]
        self.extension.views = self

    async def views(self, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
        """See :class:`bayeux_server.server.fanout.ViewPolicy`."""
        await self._pause()
        return [(publication, audience)]

    async def _snapshot(self, task_id: str) -> Snapshot:
        await self._pause()
        snapshot: Snapshot = await self._read(task_id)
        await self._pause()
        return snapshot

    async def _publish_late(self, publication: Publication) -> None:
        await self._pause()
        published = self._publish(publication)
        if published is not None:
            await published

    async def _pause(self) -> None:
        turns = self._pauses[self._paused % len(self._pauses)]
        self._paused += 1
        for _ in range(turns):
            await asyncio.sleep(0)

    async def come_to_rest(self) -> Snapshot:
        """Let everything end that is under way; return what is true then."""
        for _ in range(2):
            while under_way := {*self.core.remote_calls._under_way, *self.extension._tasks}:
                await asyncio.wait(under_way)
            await self.pass_time(0.3)
        for _ in range(20):
            await self.settle()
        snapshot: Snapshot = await self._read(TASK)
        return snapshot


async def live(deeds: Sequence[tuple[str, int, int]], pauses: Sequence[int]) -> None:
    """Do all this, and compare what each page has of each of its channels with the truth."""
    world = SlowWorld(pauses)
    await world.server.start()
    people = [await world.client(f"cc_{number}") for number in range(3)]
    for deed, who, what in deeds:
        await _do(world, people[who], deed, what)
    truth = await world.come_to_rest()
    states = {user.user_id: user.state.value for user in truth.users or ()}
    locks = {lock.field_name: lock.user_id for lock in truth.locks}
    for page in (page for client in people for page in _pages(client)):
        assert page.saw_gap or (page.states, page.locks) == (states, locks)
    await world.server.stop()


async def _do(world: World, client: Client, deed: str, what: int) -> None:
    if deed == "subscribe":
        await client.send("/meta/subscribe", subscription=WAYS[what])
    elif deed == "tell":
        await client.send("/service/presence", data={**MESSAGES[what], "task_id": TASK})
    else:
        await world.pass_time(what / 1_000)


def _pages(client: Client) -> list[Page]:
    pages: dict[str, Page] = {}
    for event in client.connection.events:
        if event["channel"] in CHANNELS:
            pages.setdefault(event["channel"], Page()).take(event["data"])
    return list(pages.values())


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(deeds=DEEDS, pauses=PAUSES)
def test_a_snapshot_comes_first_and_then_changes_with_rising_versions(
    deeds: list[tuple[str, int, int]], pauses: list[int]
) -> None:
    asyncio.run(live(deeds, pauses))


def test_without_the_gate_a_change_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the property speaks of something."""
    joins, looks, edits = ("tell", 0, 0), ("subscribe", 1, 0), ("tell", 0, 1)
    deeds = [("subscribe", 0, 0), joins, ("wait", 0, 100), looks, edits, ("wait", 0, 100)]
    pauses = [0] * 6 + [200] + [0] * 20  # between the reading of the second snapshot and its sending
    asyncio.run(live(deeds, pauses))
    monkeypatch.setattr(Gate, "outgoing", SessionExtension.outgoing)
    with pytest.raises(AssertionError, match="a change came first"):
        asyncio.run(live(deeds, pauses))

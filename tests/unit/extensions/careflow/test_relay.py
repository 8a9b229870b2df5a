"""From the outbox to subscribers and to the bus, over a real store."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.stores.migrations import upgrade
from channels.stores.sqlite import SqliteStore
from extensions.careflow.backoff import Backoff
from extensions.careflow.config import CareflowConfig
from extensions.careflow.records import BusUnavailableError
from extensions.careflow.relay import Relay
from tests.support.care import Story, new_task

TOPIC_OF = CareflowConfig().topic_of


class Bus:
    """Takes what it is told to take."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, bool]] = []
        self.refused: set[str] = set()
        #: Keys whose events it neither takes nor refuses.
        self.stuck: set[str] = set()
        self.asked = asyncio.Event()

    async def send(self, topic: str, key: str, value: bytes, *, shown: bool = False) -> None:
        event = json.loads(value)
        event_id = event.get("event_id", event.get("id"))
        self.asked.set()
        if key in self.stuck:
            await asyncio.Event().wait()
        if key in self.refused or "*" in self.refused:
            raise BusUnavailableError
        self.sent.append((topic, key, event_id, shown))

    @property
    def ids(self) -> list[str]:
        return [event_id for _, _, event_id, _ in self.sent]


class Screen:
    """Shows what it is given, unless it is out of reach."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.showed = asyncio.Event()
        self.failure: Exception | None = None

    async def show(self, raw: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        event = json.loads(raw)
        self.shown.append(event.get("event_id", event.get("id")))
        self.showed.set()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    await asyncio.to_thread(upgrade, f"sqlite:///{tmp_path / 'care.db'}")
    store = SqliteStore(tmp_path / "care.db")
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def relay(store: SqliteStore, bus: Bus, screen: Screen) -> Relay:
    return Relay(store, bus, TOPIC_OF, Backoff(0.001, 0.001), screen.show, batch_events=100, patience_s=0.001)  # type: ignore[arg-type]  # the part of a bus that a relay uses


async def commit_task(store: SqliteStore, task_id: str, *, edits: int = 0) -> None:
    story = Story(f"{task_id}_")
    task = new_task(task_id)
    await store.commit(story.create(task))
    for number in range(edits):
        task, commit = story.edit(task, f"note {number}")
        await store.commit(commit)


class TestRelay:
    async def test_what_was_committed_is_shown_sent_and_forgotten(
        self, store: SqliteStore, relay: Relay, bus: Bus, screen: Screen
    ) -> None:
        await commit_task(store, "task_1")
        await relay.relay_once()
        assert bus.sent == [
            ("careflow.task.created", "task_1", "task_1_1", True),
            ("careflow.activity.task_created", "task_1", bus.ids[1], True),
        ]
        assert screen.shown == bus.ids
        assert (await store.backlog()).count == 0

    async def test_nothing_is_shown_before_the_permissions_that_came_with_it_are_known(
        self, store: SqliteStore, relay: Relay, screen: Screen
    ) -> None:
        relations = store.signals.relations
        relations.followers += 1
        await commit_task(store, "task_1")
        asked = relations.count
        relaying = asyncio.create_task(relay.relay_once())
        await relations.wait(asked, timeout_s=60)
        assert screen.shown == []
        relations.take_in(relations.count)
        await relaying
        assert len(screen.shown) == 2

    async def test_the_events_of_one_key_leave_in_order(
        self, store: SqliteStore, relay: Relay, bus: Bus, screen: Screen
    ) -> None:
        await commit_task(store, "task_1", edits=5)
        await relay.relay_once()
        tasks = [event_id for event_id in bus.ids if event_id.startswith("task_1")]
        assert tasks == [f"task_1_{number}" for number in range(1, 7)]
        assert screen.shown == bus.ids

    async def test_a_failure_keeps_back_the_rest_of_its_key_only(
        self, store: SqliteStore, relay: Relay, bus: Bus, screen: Screen
    ) -> None:
        await commit_task(store, "task_1", edits=1)
        await commit_task(store, "task_2", edits=1)
        bus.refused = {"task_1"}
        with pytest.raises(BusUnavailableError):
            await relay.relay_once()
        assert {key for _, key, _, _ in bus.sent} == {"task_2"}
        assert (await store.backlog()).count == 4
        assert len(screen.shown) == 8

    async def test_what_waits_for_the_bus_is_shown_once(
        self, store: SqliteStore, relay: Relay, bus: Bus, screen: Screen
    ) -> None:
        await commit_task(store, "task_1")
        bus.refused = {"*"}
        for _ in range(3):
            with pytest.raises(BusUnavailableError):
                await relay.relay_once()
        assert len(screen.shown) == 2
        bus.refused = set()
        await relay.relay_once()
        assert len(screen.shown) == 2
        assert (await store.backlog()).count == 0

    async def test_what_cannot_be_shown_is_not_sent_either(
        self, store: SqliteStore, relay: Relay, bus: Bus, screen: Screen
    ) -> None:
        """Else it would come round by Kafka, after newer events that were shown at once."""
        await commit_task(store, "task_1")
        screen.failure = ConnectionError()
        with pytest.raises(ConnectionError):
            await relay.relay_once()
        assert bus.sent == []
        assert (await store.backlog()).count == 2

    async def test_an_event_that_can_never_be_shown_goes_on_without_the_mark(
        self, store: SqliteStore, relay: Relay, bus: Bus, screen: Screen
    ) -> None:
        await commit_task(store, "task_1")
        screen.failure = RuntimeError()
        await relay.relay_once()
        assert {shown for _, _, _, shown in bus.sent} == {False}

    @pytest.mark.parametrize("others_are_taken", [True, False])
    async def test_newer_events_are_shown_while_the_bus_takes_its_time(
        self, store: SqliteStore, relay: Relay, bus: Bus, screen: Screen, *, others_are_taken: bool
    ) -> None:
        bus.stuck = {"task_1"}
        await commit_task(store, "task_1")
        if others_are_taken:
            await commit_task(store, "task_2")
        relay.start()
        async with asyncio.timeout(30):
            await bus.asked.wait()
            await commit_task(store, "task_3")
            while len([event_id for event_id in screen.shown if "task_3" in event_id]) < 2:
                screen.showed.clear()
                await screen.showed.wait()
        assert len(screen.shown) == len(set(screen.shown))
        bus.stuck = set()
        async with asyncio.timeout(30):
            while (await store.backlog()).count:
                await store.signals.outbox.wait(store.signals.outbox.count, 0.01)
        await relay.stop()
        assert set(bus.ids) == set(screen.shown)

    async def test_it_runs_until_it_is_stopped_and_survives_failures(
        self, store: SqliteStore, relay: Relay, bus: Bus
    ) -> None:
        bus.refused = {"*"}
        relay.start()
        await commit_task(store, "task_1", edits=3)
        await commit_task(store, "task_2", edits=3)
        bus.refused = set()
        async with asyncio.timeout(30):
            while (await store.backlog()).count:
                await store.signals.outbox.wait(store.signals.outbox.count, 0.01)
        await relay.stop()
        assert sorted(set(bus.ids)) == sorted(bus.ids)
        assert len(bus.ids) == 16

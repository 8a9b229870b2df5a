"""A process that changes tasks and shows their events, and kills itself at a named point. Run by the fault tests.

The care flow runs as it is. Only the objects at its ports are wrapped here: the store, the bus, the publisher.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from bayeux_server.server.clock import SystemClock
from channels.services.commits import commit_of_change
from channels.services.consumer import EventConsumer
from channels.stores.migrations import upgrade
from channels.stores.port import OutboxBatch
from channels.stores.sqlite import SqliteStore
from channels.tasks.changes import TaskChanges, updated
from extensions.careflow.extension import CareFlow
from extensions.careflow.intake import Intake
from extensions.careflow.kafka_bus import KafkaBus
from extensions.careflow.metrics import Meters
from extensions.careflow.seen import Seen
from tests.support.care import SARAH, at, new_task
from tests.support.careflow import kafka_config, task_updated

#: Where a process can be killed, in the order an event passes.
POINTS: Final = (
    "committed, not yet seen by the relay",
    "taken from the outbox, not yet published",
    "own event published on its first channel",
    "published, not yet produced",
    "produced, not yet marked sent",
    "marked sent",
    "foreign event consumed, not yet published",
    "foreign event published on its first channel",
    "foreign event published, offset not yet committed",
)
TASKS: Final = ("task_a", "task_b", "task_c")
#: A task of another service, whose events come by Kafka.
FOREIGN_TASK: Final = "foreign"
#: The how manieth event at the point is the last: others are on their way by then.
_LAST: Final = 5
_EVENTS: Final = 12


class Fuse:
    """Ends the process, without any goodbye, when a point is passed often enough."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._passed = 0

    def at(self, point: str) -> None:
        """The point is passed."""
        if point == self._point:
            self._passed += 1
            if self._passed == _LAST:
                os.kill(os.getpid(), signal.SIGKILL)


class FusedBatch:
    """A batch of the outbox with points around its marking."""

    def __init__(self, batch: OutboxBatch, fuse: Fuse) -> None:
        self._batch = batch
        self._fuse = fuse
        self.entries = batch.entries

    async def mark_sent(self, seqs: Collection[int]) -> None:
        await self._batch.mark_sent(seqs)
        for _ in seqs:
            self._fuse.at("marked sent")


class FusedOutbox:
    """The store's outbox with a point after it was read."""

    def __init__(self, store: SqliteStore, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse
        self.signals = store.signals

    @asynccontextmanager
    async def outbox_batch(self, limit: int) -> AsyncIterator[OutboxBatch]:
        async with self._store.outbox_batch(limit) as batch:
            for _ in batch.entries:
                self._fuse.at("taken from the outbox, not yet published")
            yield FusedBatch(batch, self._fuse)


class FusedBus(KafkaBus):
    """The bus with points around each acknowledgement."""

    fuse: Fuse

    async def send(self, topic: str, key: str, value: bytes, *, shown: bool = False) -> None:
        if shown:
            self.fuse.at("published, not yet produced")
        await super().send(topic, key, value, shown=shown)
        if shown:
            self.fuse.at("produced, not yet marked sent")


class Screen:
    """A subscriber's screen: a file with a line for each event on each channel."""

    def __init__(self, path: Path, fuse: Fuse) -> None:
        self._file = path.open("a", buffering=1)
        self._fuse = fuse
        self.shown: set[str] = set()
        self.more = asyncio.Event()

    async def publish(self, channel: str, data: bytes, *, kept: bool = True) -> None:
        event = json.loads(data)
        first, foreign = channel.startswith("/task/"), event.get("task_id") == FOREIGN_TASK
        if first and foreign:
            self._fuse.at("foreign event consumed, not yet published")
        event_id = event.get("event_id", event.get("id"))
        line = {
            "channel": channel,
            "event_id": event_id,
            "task_id": event.get("task_id"),
            "version": event.get("version"),
        }
        self._file.write(json.dumps(line) + "\n")
        os.fsync(self._file.fileno())
        if first:
            self._fuse.at(f"{'foreign' if foreign else 'own'} event published on its first channel")
        elif foreign and channel.startswith("/task_list/team/"):
            self._fuse.at("foreign event published, offset not yet committed")
        self.shown.add(event_id)
        self.more.set()


async def change_tasks(store: SqliteStore, acknowledged: Path, fuse: Fuse, run: str) -> set[str]:
    """Change each task in turn; what the store has returned from is acknowledged. Returns the events' ids."""
    ids = set()
    with acknowledged.open("a", buffering=1) as file:
        for number in range(_EVENTS):
            task_id = TASKS[number % len(TASKS)]
            before = await store.task(task_id)
            after = updated(before, TaskChanges(notes=f"{run} {number}"), by=SARAH, at=at(number)) if before else None
            event_id = f"{run}_{number}"
            await store.commit(commit_of_change(before, after or new_task(task_id), event_id=event_id, by=SARAH))
            file.write(event_id + "\n")
            os.fsync(file.fileno())
            ids.add(event_id)
            fuse.at("committed, not yet seen by the relay")
    return ids


async def send_foreign(care_flow: CareFlow, acknowledged: Path, run: str) -> set[str]:
    """Send events as another service does; what the bus has is acknowledged. Returns their ids."""
    ids = set()
    with acknowledged.open("a+", buffering=1) as file:
        file.seek(0)
        first = 1 + sum(FOREIGN_TASK in line for line in file)
        for version in range(first, first + _EVENTS):
            event_id = f"{FOREIGN_TASK}_{run}_{version}"
            raw = task_updated(version, task_id=FOREIGN_TASK, event_id=event_id)
            await care_flow.ingest("task.updated", FOREIGN_TASK, raw)
            file.write(event_id + "\n")
            ids.add(event_id)
    return ids


async def until(condition: Callable[[], Awaitable[bool]], changed: asyncio.Event) -> None:
    """Wait for a condition that is looked at whenever something changed, and a few times a second."""
    while not await condition():
        changed.clear()
        try:
            await asyncio.wait_for(changed.wait(), 0.1)
        except TimeoutError:
            continue


async def main(folder: Path, bootstrap_servers: str, world: str, run: str, point: str) -> None:
    """Run until all that was ever acknowledged was sent, and what this run changed was shown; or until the fuse."""
    fuse = Fuse(point)
    store = SqliteStore(folder / "care.db")
    await asyncio.to_thread(upgrade, f"sqlite:///{folder / 'care.db'}")
    await store.start()
    clock, meters = SystemClock(), Meters(CollectorRegistry())
    config = kafka_config(bootstrap_servers, world, session_timeout_ms=1_000)
    screen = Screen(folder / "screen", fuse)
    intake = Intake(
        screen,
        Seen(1_000),
        meters,
        topic_prefix=config.topic_prefix,
        max_record_bytes=config.max_record_bytes,
        absorb=EventConsumer(store, clock),
    )
    bus = FusedBus(config, clock, meters, topics=[config.topic_of("task.updated"), config.topic_of("task.created")])
    bus.fuse = fuse
    care_flow = CareFlow(config, bus, intake)
    care_flow.relay(FusedOutbox(store, fuse))
    await care_flow.start()
    acknowledged = folder / "acknowledged"
    acknowledged.touch()
    ids = await send_foreign(care_flow, acknowledged, run) | await change_tasks(store, acknowledged, fuse, run)

    async def done() -> bool:
        backlog = await store.backlog()
        return backlog.count == 0 and ids <= screen.shown and all(not each.lag_records for each in bus.progress())

    await until(done, screen.more)
    await care_flow.stop()
    await store.stop()


def run(arguments: list[str]) -> Any:
    """Entry point: folder, bootstrap servers, world, name of the run, point."""
    folder, bootstrap_servers, world, name, point = arguments
    return asyncio.run(main(Path(folder), bootstrap_servers, world, name, point))


if __name__ == "__main__":
    run(sys.argv[1:])

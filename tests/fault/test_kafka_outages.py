"""The broker stops and comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from bayeux_server.server.clock import SystemClock
from channels.stores.migrations import upgrade
from channels.stores.sqlite import SqliteStore
from extensions.careflow.extension import CareFlow
from extensions.careflow.intake import Intake
from extensions.careflow.kafka_bus import KafkaBus
from extensions.careflow.metrics import Meters
from extensions.careflow.seen import Seen
from tests.contracts.event_bus import eventually
from tests.support.care import Story, new_task
from tests.support.careflow import kafka_config, task_updated

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka

CHANNEL = "/task/task_789"
FOREIGN = "/task/foreign"


class Screen:
    """What subscribers were shown, by channel."""

    def __init__(self) -> None:
        self.shown: dict[str, list[int]] = {}

    async def publish(self, channel: str, data: bytes, *, kept: bool = True) -> None:
        self.shown.setdefault(channel, []).append(json.loads(data).get("version"))

    async def sees(self, channel: str, versions: list[int]) -> None:
        """Wait until exactly these versions were shown on a channel."""

        async def there() -> bool:
            return self.shown.get(channel, []) == versions

        await eventually(there)


@pytest.fixture
def broker() -> "Iterator[Kafka]":
    """A broker of this test's own, to be stopped."""
    from tests.support.services.kafka import Kafka

    with Kafka() as broker:
        yield broker


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    await asyncio.to_thread(upgrade, f"sqlite:///{tmp_path / 'care.db'}")
    store = SqliteStore(tmp_path / "care.db")
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
async def care_flow(broker: "Kafka", store: SqliteStore, screen: Screen) -> AsyncIterator[CareFlow]:
    config = kafka_config(broker.bootstrap_servers, "outage", send_timeout_ms=2_000)
    meters = Meters(CollectorRegistry())
    intake = Intake(screen, Seen(1_000), meters, topic_prefix=config.topic_prefix, max_record_bytes=100_000)
    care_flow = CareFlow(config, KafkaBus(config, SystemClock(), meters), intake)
    care_flow.relay(store)
    await care_flow.start()
    yield care_flow
    await care_flow.stop()


async def foreign(care_flow: CareFlow, version: int) -> None:
    """Send an event of another service, again until the broker has it."""

    async def sent() -> bool:
        try:
            await care_flow.ingest("task.updated", "foreign", task_updated(version, task_id="foreign"))
        except OSError:
            return False
        return True

    await eventually(sent)


class TestOutage:
    async def test_changes_are_shown_meanwhile_and_sent_afterwards(
        self, broker: "Kafka", store: SqliteStore, screen: Screen, care_flow: CareFlow
    ) -> None:
        story = Story()
        task = new_task()
        await store.commit(story.create(task))
        await screen.sees(CHANNEL, [1])
        await foreign(care_flow, 1)
        await screen.sees(FOREIGN, [1])

        await asyncio.to_thread(broker.stop)
        for number in (2, 3):
            task, commit = story.edit(task, f"note {number}", seconds=number)
            await store.commit(commit)
            await screen.sees(CHANNEL, list(range(1, number + 1)))
        assert (await store.backlog()).count > 0

        async def unready() -> bool:
            return care_flow.bus.unready() is not None

        await eventually(unready)

        # In this thread: the kernel ends a service together with the thread that started it.
        broker.start()

        async def all_sent() -> bool:
            return (await store.backlog()).count == 0

        async def ready() -> bool:
            return care_flow.bus.unready() is None

        await eventually(all_sent)
        await eventually(ready)
        await foreign(care_flow, 2)
        await screen.sees(FOREIGN, [1, 2])
        await screen.sees(CHANNEL, [1, 2, 3])

    async def test_a_server_starts_without_its_broker(
        self, broker: "Kafka", store: SqliteStore, screen: Screen
    ) -> None:
        await asyncio.to_thread(broker.stop)
        config = kafka_config(broker.bootstrap_servers, "absent", send_timeout_ms=1_000)
        meters = Meters(CollectorRegistry())
        intake = Intake(screen, Seen(1_000), meters, topic_prefix=config.topic_prefix, max_record_bytes=100_000)
        care_flow = CareFlow(config, KafkaBus(config, SystemClock(), meters, topics=["absent.task.created"]), intake)
        care_flow.relay(store)
        await care_flow.start()
        await store.commit(Story().create(new_task()))
        await screen.sees(CHANNEL, [1])
        assert care_flow.bus.unready()
        await care_flow.stop()

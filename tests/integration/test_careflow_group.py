"""Members of one consumer group: what one has delivered, the others do not deliver again, and nothing is left out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from bayeux_server.server.clock import SystemClock
from extensions.careflow.config import CareflowConfig
from extensions.careflow.kafka_bus import KafkaBus
from extensions.careflow.metrics import Meters
from extensions.careflow.records import Record
from tests.contracts.event_bus import Recorder, eventually
from tests.support.careflow import kafka_config

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka

KEYS = [f"task_{number}" for number in range(60)]


@pytest.fixture
def world() -> str:
    return f"t{token_hex(6)}"


@pytest.fixture
def config(world: str, kafka_broker: "Kafka") -> CareflowConfig:
    return kafka_config(kafka_broker.bootstrap_servers, world, high_water_records=20, low_water_records=5)


@pytest.fixture
async def member(config: CareflowConfig) -> AsyncIterator[Callable[[str], KafkaBus]]:
    """Makes members, and stops them: one that a failure left running would be seen in every later test."""
    made: list[KafkaBus] = []

    def make(topic: str) -> KafkaBus:
        made.append(KafkaBus(config, SystemClock(), Meters(CollectorRegistry()), topics=[topic]))
        return made[-1]

    yield make
    for bus in made:
        await bus.stop()


async def send(bus: KafkaBus, topic: str, numbers: range) -> list[bytes]:
    sent = [b"%d" % number for number in numbers]
    await asyncio.gather(*(bus.send(topic, KEYS[int(each) % len(KEYS)], each) for each in sent))
    return sent


def drain(recorder: Recorder) -> list[Record]:
    found = []
    while not recorder.handled.empty():
        found.append(recorder.handled.get_nowait())
    return found


class TestGroup:
    async def test_the_next_member_goes_on_where_the_last_one_stopped(
        self, member: Callable[[str], KafkaBus], world: str
    ) -> None:
        topic = f"{world}.task.updated"
        first, second = Recorder(), Recorder()
        bus = member(topic)
        await bus.start(first.handle)
        before = await send(bus, topic, range(30))
        assert sorted(map(str, await first.values(30))) == sorted(map(str, before))
        await bus.stop()

        bus = member(topic)
        await bus.start(second.handle)
        after = await send(bus, topic, range(30, 60))
        assert sorted(map(str, await second.values(30))) == sorted(map(str, after))
        await bus.stop()

    async def test_what_was_under_way_at_the_stop_is_delivered_by_the_next(
        self, member: Callable[[str], KafkaBus], world: str
    ) -> None:
        topic = f"{world}.task.updated"
        first, second = Recorder(), Recorder()

        async def never(_record: Record) -> None:
            await asyncio.Event().wait()

        first.rule = never
        bus = member(topic)
        await bus.start(first.handle)
        await bus.send(topic, "task_1", b"cut off")
        await first.tries.get()
        await bus.stop()

        bus = member(topic)
        await bus.start(second.handle)
        assert await second.values(1) == [b"cut off"]
        await bus.stop()

    async def test_members_that_come_and_go_leave_nothing_out(
        self, member: Callable[[str], KafkaBus], world: str
    ) -> None:
        """A rebalance in the middle of full queues, paused partitions and a new topic."""
        topic, later = f"{world}.task.updated", f"{world}.task.completed"
        first, second = Recorder(), Recorder()

        async def in_turn(_record: Record) -> None:
            await asyncio.sleep(0.001)

        first.rule = second.rule = in_turn
        one, two = member(topic), member(topic)
        await one.start(first.handle)
        sent = await send(one, topic, range(200))
        await first.tries.get()
        await two.start(second.handle)
        sent += await send(one, later, range(200, 300))

        async def second_reads() -> bool:
            # As fast as the first handles them: however long the broker takes to divide the topic, no backlog grows.
            if first.handled.qsize() > len(sent) - 100:
                sent.extend(await send(one, topic, range(len(sent), len(sent) + 50)))
            return not second.tries.empty()

        await eventually(second_reads)
        await two.stop()
        records: list[Record] = []

        async def all_there() -> bool:
            records.extend([*drain(first), *drain(second)])
            return {record.value for record in records} == set(sent)

        await eventually(all_there)
        await one.stop()

    async def test_one_key_stays_in_order_however_often_a_partition_is_paused(
        self, member: Callable[[str], KafkaBus], world: str
    ) -> None:
        topic = f"{world}.task.updated"
        recorder = Recorder()
        bus = member(topic)
        await bus.start(recorder.handle)
        sent = [b"%d" % number for number in range(300)]
        await asyncio.gather(*(bus.send(topic, "task_1", each) for each in sent))
        assert await recorder.values(300) == sent
        await bus.stop()

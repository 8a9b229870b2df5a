"""What a client says is in a record's value, or nowhere: topic, key and headers are the server's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from extensions.careflow.config import CareflowConfig
from extensions.careflow.intake import TYPES
from extensions.careflow.records import SHOWN_HEADER
from tests.support.care_world import SARAH, SERVICE, CareWorld, care_world
from tests.support.careflow import kafka_config, task_updated, user_joined
from tests.support.client import Client

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka

#: Whatever a client might hope to be taken for a part of the record.
SMUGGLED = {
    **dict.fromkeys(("key", "topic", "partition", SHOWN_HEADER, "traceparent"), "smuggled"),
    "headers": {SHOWN_HEADER: "smuggled", "smuggled": "smuggled"},
}
#: Records of events that a back-end service published, which subscribers have not been shown yet.
THEIRS = 3
HEADERS: dict[str, Any] = {"X_Kafka_Key": "smuggled", "Careflow_Shown": "1", "Traceparent": "smuggled"}


@pytest.fixture
def config(kafka_broker: "Kafka") -> CareflowConfig:
    return kafka_config(kafka_broker.bootstrap_servers, f"t{token_hex(6)}")


@pytest.fixture
async def world(tmp_path: Path, config: CareflowConfig) -> AsyncIterator[CareWorld]:
    async with care_world(tmp_path, {"careflow": msgspec.to_builtins(config)}) as world:
        yield world


def written(config: CareflowConfig) -> list[Any]:
    """Every record of every topic of this test's world, dead letters included; blocks."""
    from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition  # takes a second to import

    servers = list(config.bootstrap_servers)
    admin = KafkaAdminClient(bootstrap_servers=servers)
    topics = [topic for topic in admin.list_topics() if topic.startswith(config.topic_prefix)]
    admin.close()
    assert set(topics) <= {*map(config.topic_of, TYPES), config.dead_letter_topic}
    consumer = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    try:
        partitions = [TopicPartition(topic, each) for topic in topics for each in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        ends, found = consumer.end_offsets(partitions), []
        while any(consumer.position(each) < end for each, end in ends.items()):
            found += [record for records in consumer.poll(timeout_ms=100).values() for record in records]
    finally:
        consumer.close()
    return found


async def told(client: Client, kind: str, version: int | None = None) -> None:
    """Wait for an event of a kind and version; answers of remote calls are passed over."""
    while True:
        data = (await client.event())["data"]
        if data is not None and data.get("type") == kind and version in {None, data.get("version")}:
            return


async def test_nothing_a_client_sends_becomes_a_topic_a_key_or_a_header(
    world: CareWorld, config: CareflowConfig
) -> None:
    task = await world.task()
    address = f"/api/tasks/{task['id']}"
    smuggling = await world.ask(
        "PATCH", address, body={"changes": {"notes": "x"}, **SMUGGLED}, If_Match='"1"', **HEADERS
    )
    assert smuggling.status == 400
    changed = await world.ask("PATCH", address, body={"changes": {"notes": "smuggled"}}, If_Match='"1"', **HEADERS)
    assert changed.status == 200

    sarah = await world.page(SARAH, f"/task/{task['id']}")
    join = {"type": "presence.user_joined", "task_id": task["id"], "state": "viewing"}
    await world.call(sarah, "/service/presence", join | SMUGGLED)
    await sarah.publish("/service/presence", join, ext=SMUGGLED, **SMUGGLED)
    await told(sarah, "presence.user_joined")

    service = await world.page(SERVICE)
    event = json.loads(task_updated(3, task_id=task["id"], task={"id": task["id"], "notes": "theirs"}))
    other = json.loads(user_joined(task["id"], "cc_elsewhere"))
    for data in (event, other):
        reply = await service.publish(f"/task/{task['id']}", data | SMUGGLED, ext=SMUGGLED, **SMUGGLED)
        assert reply["successful"], reply
    await told(sarah, "task.updated", 3)
    message = {"channel": f"/task/{task['id']}", "data": event | {"event_id": "again", "version": 4} | SMUGGLED}
    for sent, status in ((message | {"ext": SMUGGLED}, 422), (message, 200)):
        answer = await world.ask("POST", "/api/publish", SERVICE, {"messages": [sent]}, **HEADERS)
        assert answer.status == status
    await told(sarah, "task.updated", 4)

    records = await asyncio.to_thread(written, config)
    assert {record.key for record in records} == {task["id"].encode()}
    assert {header for record in records for header in record.headers} == {(SHOWN_HEADER, b"1")}
    assert sum(not record.headers for record in records) == THEIRS

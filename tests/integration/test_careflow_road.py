"""A record that another service's producer wrote reaches a Bayeux subscriber."""

import asyncio
import json
from collections.abc import AsyncIterator
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import pytest
from prometheus_client import generate_latest

from extensions.careflow import CAREFLOW
from extensions.careflow.config import CareflowConfig
from tests.contracts.event_bus import eventually
from tests.support.careflow import kafka_config, task_updated
from tests.support.client import Client, WebSocketPeer
from tests.support.server import LocalServer, local_server

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka


@pytest.fixture
def config(kafka_broker: "Kafka") -> CareflowConfig:
    return kafka_config(kafka_broker.bootstrap_servers, f"t{token_hex(6)}")


@pytest.fixture
async def server(config: CareflowConfig) -> AsyncIterator[LocalServer]:
    section = {name: value for name, value in msgspec.to_builtins(config).items() if name != "security"}
    async with local_server({"extensions": {"careflow": section}}) as server:
        yield server


@pytest.fixture
async def subscriber(server: LocalServer) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        client = await Client(WebSocketPeer(http, server.url)).begin()
        for channel in ("/task/task_789", "/task_list/member/A123456"):
            assert (await client.subscribe(channel))["successful"]
        yield client
        await client.peer.close()


def write(config: CareflowConfig, topic: str, key: str, value: bytes) -> Any:
    """Write a record with a producer that has nothing to do with the server."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=list(config.bootstrap_servers))
    try:
        return producer.send(topic, key=key.encode(), value=value).get(timeout=20)
    finally:
        producer.close()


async def dead_letters(server: LocalServer, count: int) -> list[str]:
    """Wait for so many dead letters and return their reasons."""
    letters = server.app.web[CAREFLOW].bus.dead_letters

    async def there() -> bool:
        return len(await letters.list()) == count

    await eventually(there)
    return [letter.reason for letter in await letters.list()]


class TestRoad:
    async def test_a_record_becomes_an_event_on_each_of_its_channels(
        self, config: CareflowConfig, subscriber: Client
    ) -> None:
        raw = task_updated(2)
        await asyncio.to_thread(write, config, config.topic_of("task.updated"), "task_789", raw)
        events = [await subscriber.event(), await subscriber.event()]
        assert {event["channel"] for event in events} == {"/task/task_789", "/task_list/member/A123456"}
        assert all(event["data"] == json.loads(raw) for event in events)

    async def test_a_bad_record_is_reported_and_the_next_one_arrives(
        self, server: LocalServer, config: CareflowConfig, subscriber: Client
    ) -> None:
        topic = config.topic_of("task.updated")
        await asyncio.to_thread(write, config, topic, "task_789", b'{"type": "task.updated", "title": "John Doe"}')
        await asyncio.to_thread(write, config, topic, "task_789", task_updated(2))
        assert (await subscriber.event())["data"]["version"] == 2
        [reason] = await dead_letters(server, 1)
        assert "John" not in reason

    async def test_readiness_and_metrics_tell_of_kafka(
        self, server: LocalServer, config: CareflowConfig, subscriber: Client
    ) -> None:
        await asyncio.to_thread(write, config, config.topic_of("task.updated"), "task_789", task_updated(2))
        await subscriber.event()

        async def ready() -> bool:
            async with subscriber.peer.http.get(f"{server.base}/readyz") as response:
                return response.status == 200

        async def counted() -> bool:
            return b"careapp_kafka_lag_records{partition=" in generate_latest(server.app.registry)

        await eventually(ready)
        await eventually(counted)
        metrics = generate_latest(server.app.registry).decode()
        assert 'careapp_kafka_consumed_total{type="task.updated"} 1.0' in metrics
        assert "task_789" not in metrics

"""The whole road: a record that a producer writes to a real broker appears on a page in a real browser."""

import asyncio
import json
from collections.abc import AsyncIterator
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec
import pytest

from extensions.careflow.config import CareflowConfig
from tests.support.careflow import kafka_config, task_updated
from tests.support.server import LocalServer, local_server

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.services.kafka import Kafka


@pytest.fixture
def config(kafka_broker: "Kafka") -> CareflowConfig:
    return kafka_config(kafka_broker.bootstrap_servers, f"browser{token_hex(6)}")


@pytest.fixture
async def server(config: CareflowConfig) -> AsyncIterator[LocalServer]:
    section = {name: value for name, value in msgspec.to_builtins(config).items() if name != "security"}
    async with local_server({"server": {"demo": True}, "extensions": {"careflow": section}}) as server:
        yield server


def produce(config: CareflowConfig, topic: str, value: bytes) -> None:
    """Write a record as another service would."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=list(config.bootstrap_servers))
    try:
        producer.send(topic, key=b"task_789", value=value).get(timeout=20)
    finally:
        producer.close()


class TestKafkaToChromium:
    @pytest.mark.parametrize(
        ("library", "transport"),
        [("faye", "websocket"), ("faye", "eventsource"), ("cometd", "websocket"), ("cometd", "long-polling")],
    )
    async def test_a_record_appears_on_the_demo_page(
        self, server: LocalServer, config: CareflowConfig, page: "Page", library: str, transport: str
    ) -> None:
        await page.goto(server.base + "/")
        await page.select_option("#library", library)
        await page.select_option("#transport", transport)
        await page.click("#connect")
        await page.wait_for_selector('[data-state="connected"]')
        await page.fill("#pattern", "/task/task_789")
        await page.click("#subscription button")
        await page.wait_for_selector('#wire li:has-text("/meta/subscribe"):has-text("\\"successful\\": true")')

        await asyncio.to_thread(produce, config, config.topic_of("task.updated"), task_updated(7))

        shown = await page.wait_for_selector("#events li")
        assert shown is not None
        text = await shown.inner_text()
        event = json.loads(text[text.index("{") :])
        assert (event["type"], event["task_id"], event["version"]) == ("task.updated", "task_789", 7)

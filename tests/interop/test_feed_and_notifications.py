"""The feed and notifications live on a page: both stock libraries, every transport, the server in production."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest

from extensions.careflow.config import CareflowConfig
from tests.interop.conftest import OTHER_ORIGIN
from tests.interop.stock_client import StockClient, page_client
from tests.interop.test_in_chromium import FROM_OTHER_ORIGIN, FROM_OWN_ORIGIN
from tests.support.care_world import EAST, MIKE, SARAH
from tests.support.careflow import kafka_config, produce, task_updated
from tests.support.desk import Desk
from tests.support.production import Production, found_clinic_at, fresh_token
from tests.support.services.postgres import Postgres
from tests.support.services.redis import Redis

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.services.kafka import Kafka

FEED = f"/activity_feed/{EAST}"
NOTIFICATIONS = f"/notifications/{MIKE.user_id}"


@pytest.fixture(scope="module")
def careflow(kafka_server: "Kafka") -> CareflowConfig:
    return kafka_config(kafka_server.bootstrap_servers, f"t{token_hex(6)}")


@pytest.fixture(scope="module")
def production(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres, careflow: CareflowConfig
) -> Iterator[Production]:
    """One server for all pages."""
    folder: Path = tmp_path_factory.mktemp("production")
    dsn = postgres_server.create_database()
    asyncio.run(found_clinic_at(dsn))
    origins = f'server.allowed_origins=["{OTHER_ORIGIN}"]'
    with (
        Redis() as redis,
        Production(folder, origins, store_url=dsn, redis_url=redis.url, careflow=careflow) as server,
    ):
        yield server


class TestFeedAndNotifications:
    @pytest.mark.parametrize(("library", "transport"), FROM_OTHER_ORIGIN)
    async def test_come_to_a_page_of_another_origin(
        self,
        library: str,
        transport: str,
        production: Production,
        careflow: CareflowConfig,
        page: "Page",
        other_origin: str,
    ) -> None:
        token = fresh_token(MIKE)
        client = await page_client(page, other_origin, library, transport, production.url, token=token)
        await follow_a_task(client, transport, production, careflow)

    @pytest.mark.parametrize(("library", "transport"), FROM_OWN_ORIGIN)
    async def test_come_to_a_page_of_the_server_s_own_origin(
        self, library: str, transport: str, production: Production, careflow: CareflowConfig, page: "Page"
    ) -> None:
        token = fresh_token(MIKE)
        client = await page_client(page, production.base, library, transport, production.url, token=token)
        await follow_a_task(client, transport, production, careflow)


async def follow_a_task(client: StockClient, transport: str, production: Production, careflow: CareflowConfig) -> None:
    """Assign a task to Mike here, and again by an event of another service; his page hears of both."""
    await client.connect()
    await client.subscribe(FEED)
    await client.subscribe(NOTIFICATIONS)
    assert await client.transport() == transport
    async with Desk(production, SARAH) as desk:
        task_id = await desk.create(assigned_to=MIKE.user_id)
    await until_told(client, FEED, task_id, "task_created")
    here = await until_told(client, NOTIFICATIONS, task_id, "notification.task_assigned")
    assert here["assigned_by"]["user_id"] == SARAH.user_id

    assigned = task_updated(
        2,
        task_id=task_id,
        type="task.assigned",
        task={"id": task_id, "assigned_to": MIKE.user_id, "assigned_to_name": MIKE.user_name},
        changed_fields=["assigned_to"],
    )
    await asyncio.to_thread(produce, careflow, careflow.topic_of("task.assigned"), task_id, assigned)
    await until_told(client, FEED, task_id, "task_assigned")
    by_kafka = await until_told(client, NOTIFICATIONS, task_id, "notification.task_assigned")
    assert by_kafka["assigned_by"]["user_name"] == "Sarah Johnson"
    assert by_kafka["notification_id"] != here["notification_id"]


async def until_told(client: StockClient, channel: str, task_id: str, kind: str) -> dict[str, Any]:
    """Wait for a channel's next event of a kind that is about a task, and return it."""
    while True:
        for number, (heard_on, event) in enumerate(client.events):
            about = event["task_id"] if "task_id" in event else event["subject"]["id"]
            if (heard_on, event["type"], about) == (channel, kind, task_id):
                del client.events[number]
                return dict(event)
        await client.until("event")

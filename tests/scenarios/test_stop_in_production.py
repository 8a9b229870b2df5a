"""SIGTERM to one of two servers in production, in the middle of work; and the same server again."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import pytest

from clients.python import BayeuxClient, Event
from clients.python.errors import RefusedError
from extensions.careflow.config import CareflowConfig
from tests.contracts.event_bus import eventually
from tests.support.care_world import MIKE, SARAH
from tests.support.careflow import kafka_config, written
from tests.support.client import Client, LongPollingPeer
from tests.support.desk import Desk
from tests.support.production import Production, found_clinic_at, fresh_token
from tests.support.screens import python_screen

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka

DRAIN_MS = 1_000


class Nodes(NamedTuple):
    """Two servers on the same services, and the bus they share with others."""

    stopping: Production
    staying: Production
    careflow: CareflowConfig


@pytest.fixture
async def nodes(tmp_path: Path, redis_url: str, postgres_dsn: str, kafka_broker: "Kafka") -> AsyncIterator[Nodes]:
    await found_clinic_at(postgres_dsn)
    careflow = kafka_config(kafka_broker.bootstrap_servers, f"t{token_hex(6)}", session_timeout_ms=1_000)

    def node(name: str) -> Production:
        return Production(
            tmp_path / name,
            f"server.drain_ms={DRAIN_MS}",
            store_url=postgres_dsn,
            redis_url=redis_url,
            careflow=careflow,
            audit={"node": name},
        )

    with node("stopping") as stopping, node("staying") as staying:
        yield Nodes(stopping, staying, careflow)


async def stopped(server: Production) -> int:
    """Ask a server to stop, and return its exit code."""
    os.kill(server.pid, signal.SIGTERM)
    return await asyncio.to_thread(server.wait, 30.0)


@asynccontextmanager
async def editor(server: Production, task_id: str) -> AsyncIterator[None]:
    """Mike's page edits the task."""
    async with BayeuxClient(server.url, token=fresh_token(MIKE)) as mike:
        await mike.subscribe(f"/task/{task_id}/presence")
        await mike.call("/service/presence", {"type": "presence.user_joined", "task_id": task_id, "state": "editing"})
        yield


async def test_nothing_is_lost_and_nobody_is_told_as_gone(nodes: Nodes) -> None:
    server = nodes.stopping
    told: list[str] = []

    def tell(event: Event) -> None:
        told.append(event.data["type"])

    async def watches() -> bool:
        with contextlib.suppress(RefusedError):  # this node has not heard of the task yet
            await neighbour.subscribe(presence, tell)
            return True
        return False

    async def hears_of_mike() -> bool:
        return told == ["presence.snapshot", "presence.user_joined"]

    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(Desk(server, SARAH))
        task = await desk.create()
        channel, presence = f"/task/{task}", f"/task/{task}/presence"
        screen = await stack.enter_async_context(python_screen(server.url, fresh_token(SARAH), [channel]))
        neighbour = await stack.enter_async_context(BayeuxClient(nodes.staying.url, token=fresh_token(SARAH)))
        await eventually(watches)
        await stack.enter_async_context(editor(server, task))
        await eventually(hears_of_mike)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        poll = Client(LongPollingPeer(http, server.url))
        assert (await poll.handshake(ext={"auth": {"token": fresh_token(MIKE)}}))["successful"]
        await poll.connect(advice={"timeout": 0})
        held = asyncio.create_task(poll.connect())

        changing = asyncio.create_task(desk.change_often(task, range(1, 101)))
        await screen.until(lambda: len(screen.events(channel)) > 10)
        assert await stopped(server) == 0
        answer = await held
        assert answer["successful"]
        assert 0 <= answer["advice"]["interval"] < DRAIN_MS
        await stack.enter_async_context(editor(nodes.staying, task))  # where the balancer sends his page
        server.start()
        await desk.back()
        await changing

        await screen.until(lambda: len(screen.events(channel)) == 101)
        assert screen.versions(channel) == list(range(1, 102))
        assert screen.contradictions == []
        topic = nodes.careflow.topic_of("task.updated")
        events = await asyncio.to_thread(written, nodes.careflow, topic, task, 100)
        assert [event["version"] for event in events] == list(range(2, 102))
        assert await hears_of_mike(), told

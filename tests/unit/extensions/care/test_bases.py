"""Editors hear that the task moved on: once, however many nodes there are."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from extensions.care.bases import BaseWatch
from tests.support.client import Client, WebSocketPeer
from tests.support.server import LocalServer, local_server

TASK = "/task/task_789"
BY = {"user_id": "cc_456", "user_name": "Sarah Johnson", "user_role": "care_coordinator"}


def updated(version: int) -> dict[str, Any]:
    return {
        "event_id": f"ev_{version}",
        "type": "task.updated",
        "task_id": "task_789",
        "version": version,
        "task": {"id": "task_789", "notes": "Called."},
        "changed_fields": ["notes"],
        "changed_by": BY,
        "timestamp": "2025-11-13T10:30:00.000Z",
    }


@pytest.fixture
async def nodes(redis_url: str) -> AsyncIterator[list[LocalServer]]:
    """Two nodes that share a broker."""
    sections = {"backend": {"broker": "redis", "redis_url": redis_url}}
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(local_server(sections)) for _ in range(2)]
        for server in servers:
            watch = BaseWatch(server.app.server)
            watch.start()
            stack.push_async_callback(watch.stop)
        yield servers


async def test_a_subscriber_of_any_node_is_told_once_of_each_change(nodes: list[LocalServer]) -> None:
    async with aiohttp.ClientSession() as http:
        clients = [await Client(WebSocketPeer(http, node.url)).begin() for node in nodes]
        for client in clients:
            assert (await client.subscribe(TASK))["successful"]
        for version in range(2, 12):
            await nodes[0].app.server.publish(TASK, updated(version))
        for client in clients:
            warned: list[int] = []
            while 11 not in warned:
                data = (await client.event())["data"]
                if data["type"] == "task.base_moved":
                    warned.append(data["version"])
            assert warned == list(range(2, 12))
            await client.peer.close()

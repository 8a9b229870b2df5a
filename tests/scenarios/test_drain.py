"""Stopping: clients are let go in slices, each told to come back at a moment of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bayeux_server.drain import SLICES
from tests.conformance.world import ALL, PUSHING
from tests.scenarios.conftest import Scene
from tests.support.client import EventSourcePeer, WebSocketPeer
from tests.support.server import LocalServer

DRAIN_MS = 10_000
WAIT_MS = 3_000
SLICE_S = DRAIN_MS / SLICES / 1_000


@pytest.mark.parametrize("transport", ALL)
async def test_held_connects_are_answered_in_slices_and_told_to_wait(scene: Scene, transport: str) -> None:
    async with scene(transport, server={"drain_ms": DRAIN_MS}) as (server, world):
        held = [await world.held(await world.session()) for _ in range(3)]
        async with _draining(server):
            waiting = set(held)
            while waiting:
                answered, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                assert len(answered) == 1
                server.advance(SLICE_S)
        advices = [task.result()["advice"] for task in held]
    assert all(0 <= advice.pop("interval") < DRAIN_MS for advice in advices)
    assert advices == [{"reconnect": "retry", "timeout": 25_000}] * 3


@pytest.mark.parametrize("transport", PUSHING)
async def test_connections_that_stay_are_closed(scene: Scene, transport: str) -> None:
    async with scene(transport, server={"drain_ms": DRAIN_MS}) as (server, world):
        client = await world.session()
        async with _draining(server):
            assert isinstance(client.peer, (WebSocketPeer, EventSourcePeer))
            await client.peer.ended()


async def test_server_is_not_ready_from_the_first_moment(scene: Scene) -> None:
    async with scene("websocket", server={"drain_ms": DRAIN_MS}) as (server, world):
        await world.session()
        async with _draining(server):
            for path, status in (("readyz", 503), ("healthz", 200)):
                async with world.http.get(f"{server.base}/{path}") as response:
                    assert response.status == status


async def test_a_balancer_has_time_to_see_it_before_anybody_is_let_go(scene: Scene) -> None:
    async with scene("long-polling", server={"drain_ms": 0, "drain_wait_ms": WAIT_MS}) as (server, world):
        held = await world.held(await world.session())
        async with _draining(server):
            server.advance(WAIT_MS / 1_000 - 0.001)
            async with world.http.get(f"{server.base}/readyz") as response:
                assert response.status == 503
            await world.session()  # whom the balancer sends meanwhile is served
            assert not held.done()
            server.advance(0.001)
            assert (await held)["successful"]


@asynccontextmanager
async def _draining(server: LocalServer) -> AsyncIterator[None]:
    """Begin to drain on entry, and let it come to its end on exit."""
    draining = asyncio.create_task(server.app.drain())
    await asyncio.sleep(0)
    yield
    while not draining.done():
        server.advance(SLICE_S)
        await asyncio.sleep(0)

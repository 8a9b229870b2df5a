"""What a session leaves behind: nothing. Its objects go with their last reference; no collector has to find them."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from bayeux_server.server.batch import Batch
from bayeux_server.server.session import ServerSession
from bayeux_server.transports.direct.front_door import FrontDoor
from bayeux_server.transports.websocket_connection import WebSocketConnection
from tests.conformance.world import Target, World
from tests.support.server import local_server

PATIENCE_S = 30.0


KINDS = (Batch, FrontDoor, ServerSession, WebSocketConnection)


class Left:
    """What there is of sessions and their connections that was not there before: other tests may have left theirs."""

    def __init__(self) -> None:
        self._before = self._found()

    @staticmethod
    def _found() -> dict[int, object]:
        # With the objects, so that no later one is given an earlier one's id.
        return {id(found): found for found in gc.get_objects() if isinstance(found, KINDS)}

    def kinds(self) -> list[str]:
        """Name the type of each object."""
        return [type(found).__name__ for key, found in self._found().items() if key not in self._before]


@pytest.fixture
def left() -> Iterator[Left]:
    gc.collect()
    gc.disable()
    yield Left()
    gc.enable()


@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
class TestMemory:
    async def test_nothing_of_a_session_and_its_connections_is_left_after_its_end(
        self, left: Left, transport: str
    ) -> None:
        async with local_server() as server:
            async with World(Target(server.url), transport) as world:
                client = await world.session()
                await client.subscribe("/a")
                held = await world.held(client)
                await server.app.server.publish("/a", 1)
                await (client.event() if client.peer.pushes else held)
                await client.disconnect()
            async with asyncio.timeout(PATIENCE_S):
                while left.kinds():  # noqa: ASYNC110 - the end of a connection sets no event of ours
                    await asyncio.sleep(0.01)

    async def test_a_held_connect_keeps_nothing_of_the_request_it_came_in(self, left: Left, transport: str) -> None:
        async with local_server() as server, World(Target(server.url), transport) as world:
            await world.held(await world.session())
            assert "Batch" not in left.kinds()

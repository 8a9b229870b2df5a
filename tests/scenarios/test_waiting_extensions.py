"""An extension that makes a message wait loses nothing when the client does not."""

import asyncio

import aiohttp
import pytest

from bayeux_server.protocol.messages import Reply
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from tests.conformance.world import POLLING, Target, World
from tests.support.client import WebSocketPeer
from tests.support.server import local_server


class _Slow(Extension):
    """Completes connect replies once it is let."""

    def __init__(self) -> None:
        self.is_on = False
        self.was_asked = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        if self.is_on and reply.channel == "/meta/connect":
            self.was_asked.set()
            await self.may_go_on.wait()


class TestWaitingExtension:
    @pytest.mark.parametrize("short_road", [True, False])
    async def test_events_taken_for_a_reply_wait_if_the_client_hangs_up_meanwhile(self, short_road: bool) -> None:
        slow = _Slow()
        async with local_server({"server": {"short_road": short_road}}) as server:
            server.app.server.add_extension(slow)
            async with World(Target(server.url), POLLING[0]) as world, aiohttp.ClientSession() as other:
                client = await world.session()
                await client.subscribe("/a")
                session = server.app.server.core.sessions.get(client.id)
                assert session is not None
                await server.app.server.publish("/a", 1)
                slow.is_on = True
                message = client.message("/meta/connect", connectionType="long-polling")
                asking = asyncio.create_task(other.post(server.url, json=[message]))
                await slow.was_asked.wait()
                assert not session.queue
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                slow.is_on = False
                slow.may_go_on.set()
                assert (await client.event())["data"] == 1

    async def test_a_session_whose_socket_went_away_meanwhile_can_come_back(self) -> None:
        slow = _Slow()
        async with local_server() as server, aiohttp.ClientSession() as http:
            server.app.server.add_extension(slow)
            async with World(Target(server.url), "websocket") as world:
                client = await world.session()
                await client.subscribe("/a")
                slow.is_on = True
                assert isinstance(client.peer, WebSocketPeer)
                socket = await client.peer.open()
                await socket.send_json(
                    [client.message("/meta/connect", connectionType="websocket", advice={"timeout": 0})]
                )
                await slow.was_asked.wait()
                await client.peer.close()
                session = server.app.server.core.sessions.get(client.id)
                assert session is not None
                slow.is_on = False
                slow.may_go_on.set()
                client.peer = WebSocketPeer(http, server.url)
                await client.connect(advice={"timeout": 0})
                await server.app.server.publish("/a", 2)
                assert (await client.event())["data"] == 2
                await client.peer.close()

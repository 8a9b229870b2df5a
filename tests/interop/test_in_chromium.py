"""The stock clients in a real Chromium, from a page of another origin and from one of the server's own."""

from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.interop.stock_client import page_client
from tests.support.client import Client, WebSocketPeer
from tests.support.server import ServerProcess
from tests.support.tcp_proxy import tcp_proxy

if TYPE_CHECKING:
    from playwright.async_api import Page

# faye uses XHR and EventSource on its own origin only, and two other transports across origins.
FROM_OTHER_ORIGIN = [
    ("faye", "websocket"),
    ("faye", "cross-origin-long-polling"),
    ("faye", "callback-polling"),
    ("cometd", "websocket"),
    ("cometd", "long-polling"),
    ("cometd", "callback-polling"),
]
FROM_OWN_ORIGIN = [
    ("faye", "websocket"),
    ("faye", "eventsource"),
    ("faye", "long-polling"),
    ("cometd", "websocket"),
    ("cometd", "long-polling"),
]
#: Every transport of each client, each from a page of an origin where the client has it.
EVERYWHERE = [(*client, False) for client in FROM_OTHER_ORIGIN] + [
    (*client, True) for client in FROM_OWN_ORIGIN if client not in FROM_OTHER_ORIGIN
]
every_client = pytest.mark.parametrize(("library", "transport", "own"), EVERYWHERE)


class TestStockClientInChromium:
    @pytest.mark.parametrize(("library", "transport"), FROM_OTHER_ORIGIN)
    async def test_works_from_a_page_of_another_origin(
        self, library: str, transport: str, shared_server: ServerProcess, page: "Page", other_origin: str
    ) -> None:
        await _works(page, other_origin, library, transport, shared_server.url)

    @pytest.mark.parametrize(("library", "transport"), FROM_OWN_ORIGIN)
    async def test_works_from_a_page_of_the_server_s_own_origin(
        self, library: str, transport: str, shared_server: ServerProcess, page: "Page"
    ) -> None:
        await _works(page, shared_server.base, library, transport, shared_server.url)

    @every_client
    async def test_gets_what_was_published_while_its_connection_was_cut(
        self, library: str, transport: str, own: bool, shared_server: ServerProcess, page: "Page", other_origin: str
    ) -> None:
        channel = f"/page/cut/{library}/{transport}"
        async with tcp_proxy(shared_server.port) as proxy, aiohttp.ClientSession() as http:
            publisher = await Client(WebSocketPeer(http, shared_server.url)).begin()
            base = f"http://127.0.0.1:{proxy.port}"
            client = await page_client(page, base if own else other_origin, library, transport, f"{base}/bayeux")
            await client.connect()
            await client.subscribe(channel)
            await publisher.publish(channel, "before")
            await client.until_events(1)
            proxy.cut()
            await client.until("down")
            for number in range(3):
                await publisher.publish(channel, number)
            proxy.restore()
            assert await client.until_events(4) == [(channel, data) for data in ("before", 0, 1, 2)]
            await publisher.peer.close()

    @every_client
    async def test_goes_on_after_a_restart_of_the_server(
        self, library: str, transport: str, own: bool, own_server: ServerProcess, page: "Page", other_origin: str
    ) -> None:
        origin = own_server.base if own else other_origin
        client = await page_client(page, origin, library, transport, own_server.url)
        await client.connect()
        await client.subscribe("/restart")
        own_server.stop()
        await client.until("down")
        own_server.start()
        await client.until("up")
        # With which transport is the library's choice: Faye takes another where the server came back too late for one.
        await client.publish_until_it_arrives("/restart")


async def _works(page: "Page", origin: str, library: str, transport: str, url: str) -> None:
    client = await page_client(page, origin, library, transport, url)
    root = f"/page/{library}/{transport}"
    await client.connect()
    await client.subscribe(f"{root}/*")
    await client.subscribe(f"{root}/deep/**")
    assert await client.transport() == transport
    for name in ("a", "deep/b", "deep/c/d"):
        await client.publish(f"{root}/{name}", {"name": name, "text": "é\u2028<"})
    events = await client.until_events(3)
    assert events == [(f"{root}/{name}", {"name": name, "text": "é\u2028<"}) for name in ("a", "deep/b", "deep/c/d")]
    await client.command("disconnect")
    await client.until("disconnected")

"""The stock cometd client with a replay extension of Salesforce's kind, over a connection that is cut for too long.

Its session ends meanwhile, so nothing waits for it in a queue: what it gets, it gets because it asked for what came
after the last id it has seen.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.stock_client import StockClient, node_client, page_client
from tests.support.manual_clock import ManualClock
from tests.support.server import LocalServer, local_server
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

if TYPE_CHECKING:
    from playwright.async_api import Page

KEPT = 5
#: Where the client reads the ids, and a channel on which it finds them there.
PLACES = [("ext", "/care/news"), ("payload", "/event/Care__e")]
every_way = pytest.mark.parametrize("transport", ["websocket", "long-polling"])
every_place = pytest.mark.parametrize(("place", "channel"), PLACES)


@pytest.fixture
async def server(other_origin: str) -> AsyncIterator[LocalServer]:
    sections = {
        "server": {"allowed_origins": [other_origin]},
        "backend": {"history_max_messages": KEPT},
        "extensions": {"replay": {}},
    }
    async with local_server(sections, clock=ManualClock()) as running:
        yield running


@pytest.fixture
async def proxy(server: LocalServer) -> AsyncIterator[TcpProxy]:
    async with tcp_proxy(int(server.base.rpartition(":")[2])) as running:
        yield running


@every_way
class TestReplayInNode:
    pytestmark = pytest.mark.usefixtures("node_js")

    @every_place
    async def test_brings_every_event_once(
        self, transport: str, place: str, channel: str, server: LocalServer, proxy: TcpProxy
    ) -> None:
        async with node_client("cometd", transport, _url(proxy), replay=place) as client:
            await _brings_every_event_once(client, server, proxy, channel)

    @every_place
    async def test_tells_of_what_is_no_longer_kept(
        self, transport: str, place: str, channel: str, server: LocalServer, proxy: TcpProxy
    ) -> None:
        async with node_client("cometd", transport, _url(proxy), replay=place) as client:
            await _tells_of_what_is_no_longer_kept(client, server, proxy, channel)

    async def test_tells_of_an_id_that_was_never_given_and_goes_on(
        self, transport: str, server: LocalServer, proxy: TcpProxy
    ) -> None:
        await _publish(server, "/never", 0, 1)
        options = {"replay": "ext", "lastIds": {"/never": 4_711}}
        async with node_client("cometd", transport, _url(proxy), **options) as client:
            await client.connect()
            await client.subscribe("/never")
            await _publish(server, "/never", 2)
            assert _numbers(await client.until_events(3)) == [0, 1, 2]
            assert sorted(client.gaps) == [["event", "/never"], ["reply", "/never"]]


@every_way
class TestReplayInChromium:
    @every_place
    async def test_brings_every_event_once(
        self,
        transport: str,
        place: str,
        channel: str,
        server: LocalServer,
        proxy: TcpProxy,
        page: "Page",
        other_origin: str,
    ) -> None:
        client = await page_client(page, other_origin, "cometd", transport, _url(proxy), replay=place)
        await _brings_every_event_once(client, server, proxy, channel)

    async def test_tells_of_what_is_no_longer_kept(
        self, transport: str, server: LocalServer, proxy: TcpProxy, page: "Page", other_origin: str
    ) -> None:
        client = await page_client(page, other_origin, "cometd", transport, _url(proxy), replay="payload")
        await _tells_of_what_is_no_longer_kept(client, server, proxy, "/event/Care__e")


async def _brings_every_event_once(client: StockClient, server: LocalServer, proxy: TcpProxy, channel: str) -> None:
    await client.connect()
    await client.subscribe(channel)
    await _publish(server, channel, 0)
    await client.until_events(1)
    await _publish(server, channel, 1)  # on its way while the connection is cut: it may arrive or not
    await _lose_the_session(client, server, proxy)
    await _publish(server, channel, 2, 3)
    proxy.restore()
    await client.until("subscribed")
    await _publish(server, channel, 4)
    assert _numbers(await client.until_events(5)) == [0, 1, 2, 3, 4]
    assert client.gaps == []


async def _tells_of_what_is_no_longer_kept(
    client: StockClient, server: LocalServer, proxy: TcpProxy, channel: str
) -> None:
    await client.connect()
    await client.subscribe(channel)
    await _publish(server, channel, 0)
    await client.until_events(1)
    await _lose_the_session(client, server, proxy)
    await _publish(server, channel, *range(1, 3 + KEPT))
    proxy.restore()
    await client.until("subscribed")
    await client.until_events(1 + KEPT)
    await _publish(server, channel, 99)
    assert _numbers(await client.until_events(2 + KEPT)) == [0, 3, 4, 5, 6, 7, 99]
    assert sorted(client.gaps) == [["event", channel], ["reply", channel]]


async def _lose_the_session(client: StockClient, server: LocalServer, proxy: TcpProxy) -> None:
    proxy.cut()
    await client.until("down")
    times = server.app.server.core.times
    server.advance(times.hold_timeout_ms / 1_000)
    server.advance(times.max_interval_ms / 1_000)
    assert server.sessions == 0


async def _publish(server: LocalServer, channel: str, *numbers: int) -> None:
    for number in numbers:
        await server.app.server.publish(channel, {"number": number})


def _numbers(events: list[Any]) -> list[int]:
    return [data["number"] for _, data in events]


def _url(proxy: TcpProxy) -> str:
    return f"http://127.0.0.1:{proxy.port}/bayeux"

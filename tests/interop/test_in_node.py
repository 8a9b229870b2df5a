"""The stock clients in Node: what their users do, over a whole and over a poor network."""

import pytest

from tests.interop.stock_client import node_client
from tests.support.server import ServerProcess
from tests.support.tcp_proxy import tcp_proxy

pytestmark = pytest.mark.usefixtures("node_js")

CLIENTS = [("faye", "websocket"), ("faye", "long-polling"), ("cometd", "websocket"), ("cometd", "long-polling")]
every_client = pytest.mark.parametrize(("library", "transport"), CLIENTS)


class TestStockClientInNode:
    @every_client
    async def test_subscribes_publishes_and_gets_events_through_patterns(
        self, library: str, transport: str, shared_server: ServerProcess
    ) -> None:
        async with node_client(library, transport, shared_server.url) as client:
            await client.connect()
            await client.subscribe(f"/node/{library}/{transport}/*")
            await client.subscribe(f"/node/{library}/{transport}/deep/**")
            assert await client.transport() == transport
            for name in ("a", "deep/b", "deep/c/d"):
                await client.publish(f"/node/{library}/{transport}/{name}", {"name": name})
            events = await client.until_events(3)
            await client.command("disconnect")
            await client.until("disconnected")
        assert events == [
            (f"/node/{library}/{transport}/{name}", {"name": name}) for name in ("a", "deep/b", "deep/c/d")
        ]

    @every_client
    async def test_gets_what_was_published_while_its_connection_was_cut(
        self, library: str, transport: str, shared_server: ServerProcess
    ) -> None:
        channel = f"/cut/{library}/{transport}"
        async with (
            tcp_proxy(shared_server.port) as proxy,
            node_client(library, transport, f"http://127.0.0.1:{proxy.port}/bayeux") as client,
            node_client("faye", "websocket", shared_server.url) as publisher,
        ):
            await publisher.connect()
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

    @every_client
    async def test_goes_on_after_a_restart_of_the_server(
        self, library: str, transport: str, own_server: ServerProcess
    ) -> None:
        async with node_client(library, transport, own_server.url) as client:
            await client.connect()
            await client.subscribe("/restart")
            own_server.kill()
            await client.until("down")
            own_server.start()
            await client.until("up")
            await client.publish_until_it_arrives("/restart")

    @pytest.mark.parametrize("transport", ["websocket", "long-polling"])
    async def test_with_acknowledgement_gets_each_event_once_over_a_cut_connection(
        self, transport: str, shared_server: ServerProcess
    ) -> None:
        channel = f"/ack/{transport}"
        async with (
            tcp_proxy(shared_server.port) as proxy,
            node_client("cometd", transport, f"http://127.0.0.1:{proxy.port}/bayeux", ack=True) as client,
            node_client("faye", "websocket", shared_server.url) as publisher,
        ):
            await publisher.connect()
            await client.connect()
            await client.subscribe(channel)
            for round_number in range(3):
                # Events are on their way while the connection is cut: some reach the client, some are sent again.
                await publisher.command("publish", channel, [round_number, "during"])
                proxy.cut()
                await publisher.until("published")
                await publisher.publish(channel, [round_number, "after"])
                proxy.restore()
                await client.until_events(2 * (round_number + 1))
        assert client.events == [(channel, [number, when]) for number in range(3) for when in ("during", "after")]

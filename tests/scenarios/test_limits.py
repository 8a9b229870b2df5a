"""Every limit: what it answers, and that it is counted."""

import asyncio
import json
import socket

import aiohttp
import pytest
from yarl import URL

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.server.authorizer import AllowAll
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.session import ServerSession
from bayeux_server.transports.websocket_connection import WebSocketConnection
from tests.conformance.http import SHAKE
from tests.conformance.world import ALL, World
from tests.scenarios.conftest import Metric, Scene
from tests.support.client import PATIENCE_S, Client, EventSourcePeer, WebSocketPeer
from tests.support.server import LocalServer


async def _close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(PATIENCE_S):
        async for _ in socket:
            pass
    return socket.close_code


def _connect_that_reads_nothing(server: LocalServer, client: Client) -> socket.socket:
    """Poll for a client on a connection of its own that takes next to nothing. Returns it."""
    body = json.dumps([client.message("/meta/connect", connectionType=client.peer.transport)])
    head = f"POST /bayeux HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    peer.connect(("127.0.0.1", URL(server.url).port))
    peer.sendall(f"{head}\r\n\r\n{body}".encode())
    return peer


async def _refused_upgrade(world: World) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await world.socket()
    return refusal.value.status


class _Unasked(AllowAll):
    def can_create(self, session: ServerSession | None, channel: ChannelId) -> bool:
        raise AssertionError("asked")


class TestSockets:
    @pytest.mark.parametrize(
        ("limit", "name"),
        [("max_sockets", "too_many_sockets"), ("max_sockets_per_address", "too_many_sockets_of_address")],
    )
    async def test_one_too_many_is_refused_until_another_has_closed(
        self, scene: Scene, metric: Metric, limit: str, name: str
    ) -> None:
        async with scene(limits={limit: 1}) as (server, world):
            first = await world.socket()
            assert await _refused_upgrade(world) == 503
            assert metric(server, "bayeux_shed_total", limit=name) == 1
            await first.close()
            assert not (await world.socket()).closed

    @pytest.mark.parametrize(
        ("limit", "name"),
        [("max_sockets", "too_many_sockets"), ("max_sockets_per_address", "too_many_sockets_of_address")],
    )
    async def test_event_stream_is_one_of_them(self, scene: Scene, metric: Metric, limit: str, name: str) -> None:
        async with scene("eventsource", limits={limit: 1}) as (server, world):
            first = await world.session()
            second = await world.session("long-polling")
            stream, headers = f"{server.url}/{second.id}", {"Accept": "text/event-stream"}
            async with world.http.get(stream, headers=headers) as response:
                assert response.status == 503
            assert metric(server, "bayeux_shed_total", limit=name) == 1
            await first.disconnect()
            assert isinstance(first.peer, EventSourcePeer)
            await first.peer.ended()
            async with world.http.get(stream, headers=headers) as response:
                assert response.status == 200
                assert await _refused_upgrade(world) == 503


class TestSessions:
    @pytest.mark.parametrize(
        ("limit", "name"),
        [("max_sessions", "too_many_sessions"), ("max_sessions_per_address", "too_many_sessions_of_address")],
    )
    @pytest.mark.parametrize("short_road", [True, False])
    async def test_one_too_many_is_told_to_try_later(
        self, scene: Scene, metric: Metric, limit: str, name: str, short_road: bool
    ) -> None:
        async with scene("long-polling", limits={limit: 1}, server={"short_road": short_road}) as (server, world):
            first = await world.session()
            response = await world.post([SHAKE])
            assert response.status == 503
            assert response.headers["Content-Type"].startswith("text/plain")
            assert "Retry-After" in response.headers
            assert metric(server, "bayeux_shed_total", limit=name) == 1
            await first.disconnect()
            assert (await world.post([SHAKE])).status == 200

    async def test_one_too_many_on_a_socket_closes_it_with_try_again_later(self, scene: Scene) -> None:
        async with scene(limits={"max_sessions": 1}) as (_, world):
            await world.another()
            socket = await world.socket()
            await socket.send_str(json.dumps([SHAKE]))
            assert await _close_code(socket) == 1013


class TestBodies:
    async def test_too_big_is_413_on_every_http_transport(self, scene: Scene, metric: Metric) -> None:
        async with scene(limits={"max_body_bytes": 1_024}) as (server, world):
            big = [SHAKE | {"ext": {"padding": "a" * 1_024}}]
            assert (await world.post(big)).status == 413
            assert (await world.post(f"message={json.dumps(big)}", Content_Type="text/plain")).status == 413
            async with world.http.get(server.url, params={"message": json.dumps(big), "jsonp": "f"}) as response:
                assert response.status == 413
            assert metric(server, "bayeux_unreadable_total", reason="too_big") == 3

    async def test_too_big_closes_a_socket_with_1009(self, scene: Scene) -> None:
        async with scene(limits={"max_body_bytes": 1_024}) as (_, world):
            socket = await world.socket()
            await socket.send_str(json.dumps([SHAKE | {"ext": {"padding": "a" * 1_024}}]))
            assert await _close_code(socket) == 1009

    async def test_malformed_is_counted(self, scene: Scene, metric: Metric) -> None:
        async with scene() as (server, world):
            await world.post(b"{")
            socket = await world.socket()
            await socket.send_str("{")
            await _close_code(socket)
            assert metric(server, "bayeux_unreadable_total", reason="malformed") == 2

    async def test_too_many_messages_are_refused_together(self, scene: Scene) -> None:
        async with scene(limits={"max_messages_per_batch": 2}) as (_, world):
            assert (await world.post([{}, {}])).status == 200
            assert (await world.post([{}, {}, {}])).status == 413
            form = "message=[{},{}]&message={}"
            assert (await world.post(form, Content_Type="text/plain")).status == 413
            socket = await world.socket()
            await socket.send_str("[{},{},{}]")
            assert await _close_code(socket) == 1009

    async def test_request_line_of_16_kib_is_taken_and_more_is_not(self, scene: Scene) -> None:
        async with scene() as (server, world):
            for padding, statuses in ((15_000, {200}), (20_000, {400, 414})):
                message = json.dumps([SHAKE | {"ext": {"padding": "a" * padding}}])
                async with world.http.get(server.url, params={"message": message, "jsonp": "f"}) as response:
                    assert response.status in statuses


class TestMessages:
    @pytest.mark.parametrize("transport", ALL)
    async def test_depth_length_and_segments_are_bounded(self, scene: Scene, transport: str) -> None:
        limits = {"max_json_depth": 3, "max_channel_characters": 20, "max_channel_segments": 3}
        async with scene(transport, limits=limits) as (_, world):
            client = await world.session()
            assert (await client.publish("/a/b/c", [[[1]]]))["successful"] is True
            assert (await client.publish("/a", [[[[1]]]]))["error"].startswith("402:data:")
            assert (await client.publish("/a", 1, ext={"a": [[[1]]]}))["error"].startswith("402:ext:")
            assert (await client.subscribe("/a/b/c/d"))["error"].startswith("405:")
            assert (await client.subscribe("/" + "a" * 19))["successful"] is True
            assert (await client.subscribe("/" + "a" * 20))["error"].startswith("405:")

    @pytest.mark.parametrize("transport", ALL)
    async def test_members_that_are_no_messages_are_counted(self, scene: Scene, metric: Metric, transport: str) -> None:
        async with scene(transport) as (server, world):
            await (await world.session()).batch({"id": "1"}, {"id": "2", "channel": 5})
            assert metric(server, "bayeux_refusals_total", kind="malformed", code="402") == 2

    @pytest.mark.parametrize("transport", ALL)
    async def test_list_of_too_many_subscriptions_is_refused_before_anybody_is_asked(
        self, scene: Scene, transport: str
    ) -> None:
        async with scene(transport, limits={"max_subscriptions_per_session": 2}) as (server, world):
            client = await world.session()
            server.app.server.core.policy = _Unasked()
            assert (await client.subscribe(["/a", "/b", "/c"]))["error"] == "403:/c:too_many_subscriptions"

    @pytest.mark.parametrize("transport", ALL)
    async def test_subscriptions_of_a_session_are_bounded(self, scene: Scene, metric: Metric, transport: str) -> None:
        async with scene(transport, limits={"max_subscriptions_per_session": 2}) as (server, world):
            client = await world.session()
            assert (await client.subscribe(["/a", "/b"]))["successful"] is True
            assert (await client.subscribe("/c"))["error"] == "403:/c:too_many_subscriptions"
            assert (await client.subscribe(["/a", "/b"]))["successful"] is True
            await client.unsubscribe("/a")
            assert (await client.subscribe("/c"))["successful"] is True
            assert metric(server, "bayeux_refusals_total", kind="subscribe", code="403") == 1

    async def test_strict_grammar_can_be_asked_for(self, scene: Scene) -> None:
        for wide in (True, False):
            async with scene("long-polling", limits={"wide_channel_grammar": wide}) as (_, world):
                assert (await (await world.session()).subscribe("/a b#c+d.e{f}"))["successful"] is wide


class TestQueues:
    @pytest.mark.parametrize("bound", [{"max_queue_messages": 3}, {"max_queue_bytes": 1_024}])
    async def test_full_one_ends_its_session(self, scene: Scene, metric: Metric, bound: dict[str, int]) -> None:
        async with scene("long-polling", limits=bound) as (server, world):
            client = await self._overfilled(world)
            assert server.sessions == 1
            reply = await client.connect()
            assert reply["error"] == "402::session_unknown"
            assert reply["ext"] == {"reason": "queue_overflow"}
            assert metric(server, "bayeux_shed_total", limit="queue_overflow") == 1
            assert metric(server, "bayeux_session_ends_total", reason="queue_overflow") == 1

    async def test_full_one_may_drop_the_oldest_and_tell_how_many(self, scene: Scene, metric: Metric) -> None:
        limits = {"max_queue_messages": 3, "on_queue_overflow": "drop_oldest"}
        async with scene("long-polling", limits=limits) as (server, world):
            client = await self._overfilled(world)
            reply = await client.connect()
            assert [message["data"][0] for message in client.peer.arrays[-1][:-1]] == [1, 2, 3]
            assert reply["ext"] == {"dropped": 1}
            assert "ext" not in await client.connect(advice={"timeout": 0})
            assert metric(server, "bayeux_dropped_messages_total") == 1

    async def _overfilled(self, world: World) -> Client:
        client, publisher = await world.session(), await world.another()
        await client.subscribe("/queue")
        for number in range(4):
            await publisher.publish("/queue", [number, "a" * 300])
        return client


class TestSlowReader:
    @pytest.mark.parametrize("short_road", [True, False])
    async def test_kernel_holds_no_more_for_a_connection_than_the_setting_says(
        self, scene: Scene, short_road: bool
    ) -> None:
        limits = {"send_buffer_bytes": 40_000}
        async with scene("websocket", limits=limits, server={"short_road": short_road}) as (server, world):
            await world.session()
            [connection] = server.app.context.sockets
            assert isinstance(connection, WebSocketConnection)
            accepted = connection._transport.get_extra_info("socket")
            held_bytes = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            assert held_bytes in (40_000, 80_000)  # Linux doubles it, for what it needs itself

    async def test_socket_that_takes_nothing_is_dropped_and_its_session_kept(
        self, scene: Scene, metric: Metric
    ) -> None:
        async with scene("websocket", limits={"send_buffer_bytes": 4_096}) as (server, world):
            slow, transport = await self._one_that_stops_reading(server, world)
            pipe = slow.pipe
            publisher = await world.another()
            text = "a" * 500_000
            number = 0
            while not slow.queue:
                number += 1
                await publisher.publish("/slow", [number, text])
            server.advance(29)
            assert slow.pipe is pipe
            server.advance(1)
            assert metric(server, "bayeux_shed_total", limit="write_timeout") == 1
            await publisher.publish("/other", "round trip")
            assert slow.pipe is not pipe
            assert slow.is_open
            transport.resume_reading()  # sees the end now

    async def test_event_stream_that_takes_nothing_is_dropped_and_its_session_kept(
        self, scene: Scene, metric: Metric
    ) -> None:
        limits = {"write_timeout_ms": 300, "max_queue_bytes": 100_000_000}
        async with scene("long-polling", limits=limits) as (server, world):
            client, publisher = await world.session(), await world.another()
            await client.subscribe("/slow")
            slow = server.app.server.core.sessions.get(client.id)
            assert slow is not None
            headers = {"Accept": "text/event-stream"}
            async with world.http.get(f"{server.url}/{client.id}", headers=headers) as stream:
                assert stream.connection is not None
                assert isinstance(stream.connection.transport, asyncio.Transport)
                stream.connection.transport.pause_reading()
                waiting: list[Delivery] = []
                while slow.pipe is not None:
                    waiting = slow.queue[:1]
                    await publisher.publish("/slow", "a" * 500_000)
            assert metric(server, "bayeux_shed_total", limit="write_timeout") == 1
            assert slow.is_open
            assert waiting
            assert slow.queue[0] is not waiting[0]  # what was being written comes before it

    @pytest.mark.parametrize("short_road", [True, False])
    async def test_poll_whose_answer_is_not_taken_is_cut_and_its_events_wait(
        self, scene: Scene, metric: Metric, short_road: bool
    ) -> None:
        limits = {"write_timeout_ms": 100}
        async with scene("long-polling", limits=limits, server={"short_road": short_road}) as (server, world):
            client, publisher = await world.session(), await world.another()
            await client.subscribe("/slow")
            for _ in range(12):
                await publisher.publish("/slow", "a" * 500_000)
            slow = server.app.server.core.sessions.get(client.id)
            assert slow is not None
            with _connect_that_reads_nothing(server, client):
                while slow.queue:
                    await publisher.publish("/other", "round trip")
                server.advance(0.1)  # for the short road; aiohttp's waits by the machine's clock
                while not slow.queue:
                    await publisher.publish("/other", "round trip")
            assert metric(server, "bayeux_shed_total", limit="write_timeout") == 1
            await client.connect()
            assert client.peer.inbox.qsize() == 12

    async def _one_that_stops_reading(
        self, server: LocalServer, world: World
    ) -> tuple[ServerSession, asyncio.Transport]:
        client = await world.session()
        await client.subscribe("/slow")
        await world.held(client)
        assert isinstance(client.peer, WebSocketPeer)
        connection = (await client.peer.open())._response.connection
        assert connection is not None
        assert isinstance(connection.transport, asyncio.Transport)
        connection.transport.pause_reading()
        [session] = server.app.server.core.sessions
        return session, connection.transport


class TestBytes:
    async def test_of_sockets_are_counted(self, scene: Scene, metric: Metric) -> None:
        async with scene("websocket") as (server, world):
            client = await world.session()
            received = metric(server, "bayeux_received_bytes_total")
            sent = metric(server, "bayeux_sent_bytes_total")
            await client.publish("/a", "a" * 1_000)
            assert 1_000 < metric(server, "bayeux_received_bytes_total") - received < 1_200
            assert 50 < metric(server, "bayeux_sent_bytes_total") - sent < 300

    async def test_time_of_batches_is_measured(self, scene: Scene, metric: Metric) -> None:
        async with scene("long-polling") as (server, world):
            await world.session()
            assert metric(server, "bayeux_request_seconds_count") == 2

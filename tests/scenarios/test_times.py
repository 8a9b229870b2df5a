"""Holding, expiring, keeping alive: all that waits, on a manual clock."""

import asyncio

import aiohttp
import pytest

from tests.conformance.world import ALL, POLLING, PUSHING
from tests.scenarios.conftest import Metric, Scene
from tests.support.client import PATIENCE_S, Client, EventSourcePeer, WebSocketPeer

HOLD_S = 25.0
MAX_INTERVAL_S = 45.0
LONG_HOLD = {"connect": {"hold_timeout_ms": 600_000}, "limits": {"idle_socket_timeout_ms": 730_000}}


@pytest.mark.parametrize("transport", ALL)
async def test_session_is_known_by_its_transport(scene: Scene, metric: Metric, transport: str) -> None:
    async with scene(transport) as (server, world):
        await world.session()
        assert metric(server, "bayeux_sessions", transport=transport) == 1


class TestHolding:
    @pytest.mark.parametrize("transport", ALL)
    async def test_idle_connect_is_answered_after_the_server_s_timeout(self, scene: Scene, transport: str) -> None:
        async with scene(transport) as (server, world):
            client = await world.session()
            held = await world.held(client)
            server.advance(HOLD_S - 0.1)
            await client.publish(world.channel(), "a round trip")
            assert not held.done()
            server.advance(0.1)
            reply = await held
        assert reply["successful"] is True
        assert reply["advice"] == {"reconnect": "retry", "interval": 0, "timeout": 25_000}

    @pytest.mark.parametrize("transport", ALL)
    async def test_client_may_ask_for_less(self, scene: Scene, transport: str) -> None:
        async with scene(transport) as (server, world):
            client = await world.session()
            held = await world.held(client, advice={"timeout": 1_000})
            server.advance(1.0)
            assert (await held)["successful"] is True

    async def test_connects_beyond_the_limit_are_answered_and_told_to_wait(self, scene: Scene, metric: Metric) -> None:
        async with scene("long-polling", limits={"max_held_connects": 1}) as (server, world):
            await world.held(await world.session())
            reply = await (await world.session()).connect()
            # The second session's first connect was told to wait, too.
            assert metric(server, "bayeux_shed_total", limit="too_many_held_connects") == 2
        assert reply["successful"] is True
        assert reply["advice"] == {"reconnect": "retry", "interval": 2_000, "timeout": 25_000}


class TestExpiry:
    @pytest.mark.parametrize("transport", ALL)
    async def test_session_that_never_connects_is_gone_after_max_interval(self, scene: Scene, transport: str) -> None:
        async with scene(transport) as (server, world):
            await world.client().handshake()
            server.advance(MAX_INTERVAL_S - 0.1)
            assert server.sessions == 1
            server.advance(0.1)
            assert server.sessions == 0

    @pytest.mark.parametrize("transport", ALL)
    async def test_session_lives_while_its_connect_is_held(self, scene: Scene, transport: str) -> None:
        async with scene(transport, **LONG_HOLD) as (server, world):
            held = await world.held(await world.session())
            server.advance(599)
            assert server.sessions == 1
            server.advance(1)
            await held
            server.advance(MAX_INTERVAL_S)
            assert server.sessions == 0

    @pytest.mark.parametrize("transport", ALL)
    async def test_session_whose_connection_is_cut_is_gone_after_max_interval(
        self, scene: Scene, transport: str
    ) -> None:
        async with scene(transport) as (server, world):
            http = await world.browser(cookies=False)
            client = await world.session(http=http)
            held = await world.held(client)
            held.cancel()
            await client.peer.close()
            await http.close()
            # Round trips, in which the server sees the cut.
            await world.another()
            server.advance(HOLD_S + MAX_INTERVAL_S)
            assert server.sessions == 0

    @pytest.mark.parametrize("transport", POLLING)
    async def test_client_that_comes_back_is_told_why_whatever_it_sends(self, scene: Scene, transport: str) -> None:
        async with scene(transport) as (server, world):
            client = await world.session()
            server.advance(MAX_INTERVAL_S)
            replies = [
                await client.connect(),
                await client.subscribe("/a"),
                await client.unsubscribe("/a"),
                await client.publish("/a", 1),
                await client.publish("/service/a", 1),
                await client.disconnect(),
            ]
        for reply in replies:
            assert (reply["error"], reply["ext"]) == ("402::session_unknown", {"reason": "expired"})

    @pytest.mark.parametrize("transport", PUSHING)
    async def test_connection_ends_with_its_session(self, scene: Scene, transport: str) -> None:
        async with scene(transport) as (server, world):
            client = await world.session()
            server.advance(MAX_INTERVAL_S)
            assert isinstance(client.peer, (WebSocketPeer, EventSourcePeer))
            await client.peer.ended()


class TestEventStream:
    async def test_is_not_collected_by_a_proxy(self, scene: Scene) -> None:
        async with scene("long-polling") as (server, world):
            client = await world.session()
            headers = {"Accept": "text/event-stream"}
            async with world.http.get(f"{server.url}/{client.id}", headers=headers) as stream:
                assert stream.headers["X-Accel-Buffering"] == "no"

    async def test_carries_a_comment_every_15_seconds(self, scene: Scene) -> None:
        async with scene("long-polling") as (server, world):
            client = await world.session()
            headers = {"Accept": "text/event-stream"}
            async with world.http.get(f"{server.url}/{client.id}", headers=headers) as stream:
                for _ in range(3):
                    assert await stream.content.readline() == b":\n"
                    assert await stream.content.readline() == b"\n"
                    server.advance(15)


class TestIdleSocket:
    async def test_is_closed_after_its_time(self, scene: Scene, metric: Metric) -> None:
        async with scene() as (server, world):
            socket = await world.socket()
            server.advance(120)
            assert (await socket.receive(PATIENCE_S)).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1000
            assert metric(server, "bayeux_shed_total", limit="idle_socket") == 1

    async def test_stays_long_enough_for_a_handshake_and_a_connect_elsewhere(self, scene: Scene) -> None:
        async with scene() as (server, world):
            socket = await world.socket()
            server.advance(1.2 * HOLD_S + 10)
            await socket.send_str("[]")
            assert (await socket.receive(PATIENCE_S)).data == "[]"

    async def test_with_a_session_stays(self, scene: Scene) -> None:
        patient = {"max_interval_ms": 600_000, "ping_interval_ms": 600_000}
        async with scene("websocket", connect=patient) as (server, world):
            client = await world.session()
            for _ in range(4):
                server.advance(120)
            assert (await client.publish(world.channel(), 1))["successful"] is True

    async def test_that_does_not_answer_a_ping_is_closed(self, scene: Scene) -> None:
        async with scene(connect={"ping_interval_ms": 20_000}) as (server, world):
            socket = await world.socket(autoping=False)
            server.advance(20)
            assert (await socket.receive(PATIENCE_S)).type is aiohttp.WSMsgType.PING
            server.advance(10)
            await socket.receive(PATIENCE_S)
            assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE

    async def test_that_says_something_after_a_ping_is_pinged_again_later(self, scene: Scene) -> None:
        async with scene(connect={"ping_interval_ms": 20_000}) as (server, world):
            socket = await world.socket(autoping=False)
            server.advance(20)
            assert (await socket.receive(PATIENCE_S)).type is aiohttp.WSMsgType.PING
            await socket.send_str("[]")
            assert (await socket.receive(PATIENCE_S)).data == "[]"
            server.advance(10)
            await socket.send_str("[]")
            assert (await socket.receive(PATIENCE_S)).data == "[]"
            server.advance(20)
            assert (await socket.receive(PATIENCE_S)).type is aiohttp.WSMsgType.PING


class TestLazyChannel:
    @pytest.mark.parametrize("transport", ALL)
    async def test_message_waits_for_its_time(self, scene: Scene, transport: str) -> None:
        async with scene(transport, connect={"lazy_channels": ["/lazy/**"]}) as (server, world):
            client = await world.session()
            await client.subscribe("/lazy/a")
            held = await world.held(client)
            await (await world.another()).publish("/lazy/a", "slow")
            assert client.peer.inbox.empty()
            assert not held.done()
            server.advance(5)
            if transport in POLLING:
                await held
            assert (await client.event())["data"] == "slow"

    @pytest.mark.parametrize("transport", ALL)
    async def test_message_leaves_with_the_next_that_is_not_lazy(self, scene: Scene, transport: str) -> None:
        async with scene(transport, connect={"lazy_channels": ["/lazy/**"]}) as (_, world):
            client, publisher = await world.session(), await world.another()
            await client.subscribe(["/lazy/a", "/prompt"])
            held = await world.held(client)
            await publisher.publish("/lazy/a", "slow")
            await publisher.publish("/prompt", "quick")
            if transport in POLLING:
                await held
            assert [(await client.event())["data"] for _ in range(2)] == ["slow", "quick"]

    @pytest.mark.parametrize("transport", POLLING)
    async def test_message_leaves_with_the_next_connect(self, scene: Scene, transport: str) -> None:
        async with scene(transport, connect={"lazy_channels": ["/lazy/**"]}) as (_, world):
            client = await world.session()
            await client.subscribe("/lazy/a")
            await (await world.another()).publish("/lazy/a", "slow")
            await client.connect()
            assert client.peer.inbox.get_nowait()["data"] == "slow"


class TestMultipleClients:
    async def test_second_session_of_a_browser_polls_instead_of_holding(self, scene: Scene) -> None:
        async with scene("long-polling") as (server, world):
            browser = await world.browser()
            await world.client(http=browser).handshake()
            held = await world.held(await world.session(http=browser))
            reply = await (await world.session(http=browser)).connect()
            assert reply["advice"] == {
                "reconnect": "retry",
                "interval": 2_000,
                "timeout": 25_000,
                "multiple-clients": True,
            }
            assert not held.done()
            server.advance(HOLD_S)
            await held

    async def test_session_that_polls_lives_its_interval_longer(self, scene: Scene) -> None:
        async with scene("long-polling", **LONG_HOLD) as (server, world):
            browser = await world.browser()
            await world.client(http=browser).handshake()
            await world.held(await world.session(http=browser))
            second = await world.session(http=browser)
            await second.connect()
            server.advance(MAX_INTERVAL_S + 1.9)
            assert (await second.connect())["successful"] is True

    async def test_newer_connect_of_the_same_session_does_not_count_twice(self, scene: Scene) -> None:
        async with scene("long-polling") as (_, world):
            browser = await world.browser()
            await world.client(http=browser).handshake()
            client = await world.session(http=browser)
            older = await world.held(client)
            newer = await world.held(client)
            assert (await older)["advice"]["interval"] == 0
            assert not newer.done()

    @pytest.mark.parametrize("short_road", [True, False])
    @pytest.mark.parametrize(
        ("via", "held"), [("2.0 edge", True), ("HTTP/3 edge, 1.1 inner", True), ("1.1 edge", False)]
    )
    async def test_polls_that_came_to_a_proxy_by_http2_do_not_count(
        self, scene: Scene, via: str, held: bool, short_road: bool
    ) -> None:
        async with scene("long-polling", server={"short_road": short_road}) as (server, world):
            browser = await world.browser()
            for _ in range(2):
                client = Client(world.peer(http=browser, headers={"Via": via}))
                await client.begin()
                await world.held(client)
            assert [session.held is not None for session in server.app.server.core.sessions] == [True, held]

    async def test_websockets_do_not_count(self, scene: Scene) -> None:
        async with scene("websocket") as (_, world):
            browser = await world.browser()
            await world.client("long-polling", http=browser).handshake()
            for _ in range(3):
                held = await world.held(await world.session(http=browser))
                assert not held.done()


class TestServerSideDisconnect:
    @pytest.mark.parametrize("transport", ALL)
    async def test_client_is_told_and_its_connect_answered(self, scene: Scene, transport: str) -> None:
        async with scene(transport) as (server, world):
            client = await world.session()
            held = await world.held(client)
            [session] = server.app.server.core.sessions
            server.app.server.disconnect(session)
            reply = await held
            assert reply["successful"] is True
            assert reply["advice"]["reconnect"] == "none"
            async with asyncio.timeout(PATIENCE_S):
                notice = await client.peer.strays.get()
            assert notice == {"channel": "/meta/disconnect", "successful": True}
            assert server.sessions == 0

    @pytest.mark.parametrize("transport", POLLING)
    async def test_client_between_two_polls_learns_why_at_its_next(self, scene: Scene, transport: str) -> None:
        async with scene(transport) as (server, world):
            client = await world.session()
            [session] = server.app.server.core.sessions
            server.app.server.disconnect(session, "kicked")
            reply, published = await client.connect(), await client.publish(world.channel(), 1)
        # What CometD answers then, and the reason besides.
        assert (reply["error"], reply["ext"]) == ("402::session_unknown", {"reason": "kicked"})
        assert reply["advice"] == {"reconnect": "handshake", "interval": 0, "timeout": 25_000}
        assert (published["error"], "advice" in published) == ("402::session_unknown", False)

    @pytest.mark.parametrize("transport", PUSHING)
    async def test_client_that_events_are_pushed_to_is_told_without_a_connect(
        self, scene: Scene, transport: str
    ) -> None:
        async with scene(transport) as (server, world):
            client = await world.session()
            [session] = server.app.server.core.sessions
            server.app.server.disconnect(session, "kicked")
            async with asyncio.timeout(PATIENCE_S):
                notice = await client.peer.strays.get()
        assert notice == {"channel": "/meta/disconnect", "successful": True}

"""The Python client against our server, over real connections."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bayeux_server.app import BayeuxApp
from bayeux_server.errors import RemoteError
from bayeux_server.server.remote_call import RemoteCall
from bayeux_server.serving import listening
from clients.python import (
    BayeuxClient,
    CallFailedError,
    ClientClosedError,
    ClientState,
    Event,
    Gap,
    RefusedError,
    Subscription,
    TransportError,
)
from clients.python.backoff import Backoff
from clients.python.sync import SyncBayeuxClient
from tests.support.manual_clock import ManualClock
from tests.support.server import LocalServer, local_server, make_settings
from tests.support.services.service import free_port
from tests.support.tcp_proxy import TcpProxy, tcp_proxy
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey

PATIENCE_S = 20.0
KEEPING: dict[str, Any] = {"extensions": {"acknowledge": {}, "replay": {}}}
WAYS = [("websocket", "json"), ("websocket", "msgpack"), ("long-polling", "json")]


def make_client(url: str, **options: Any) -> BayeuxClient:
    """Return a client that does not wait between its tries."""
    return BayeuxClient(url, **{"timeout_s": PATIENCE_S, "backoff": Backoff(first_s=0.001, longest_s=0.01), **options})


async def take(subscription: Subscription, count: int) -> list[Event]:
    """Return the next events."""
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(subscription) for _ in range(count)]


class States:
    """Remembers the states of a client, and waits for one."""

    def __init__(self, client: BayeuxClient) -> None:
        self.seen: list[ClientState] = []
        self._changed = asyncio.Event()
        client.on_state.append(self._note)

    def _note(self, state: ClientState) -> None:
        self.seen.append(state)
        self._changed.set()

    async def reach(self, state: ClientState) -> None:
        """Return once the latest state is this one."""
        async with asyncio.timeout(PATIENCE_S):
            while self.seen[-1:] != [state]:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def server_at(port: int, sections: Mapping[str, Any]) -> AsyncIterator[BayeuxApp]:
    """Run a server on a port that another may have had before."""
    app = BayeuxApp(make_settings(sections))
    async with listening(app, "127.0.0.1", port):
        yield app


@asynccontextmanager
async def proxied(sections: Mapping[str, Any]) -> AsyncIterator[tuple[LocalServer, TcpProxy, str]]:
    """Run a server, and a proxy before it."""
    async with local_server(sections) as server, tcp_proxy(int(server.base.rpartition(":")[2])) as proxy:
        yield server, proxy, f"http://127.0.0.1:{proxy.port}/bayeux"


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with local_server(KEEPING) as running:
        yield running


class TestEvents:
    @pytest.mark.parametrize(("transport", "wire"), WAYS)
    async def test_they_arrive_as_they_were_published(self, server: LocalServer, transport: Any, wire: Any) -> None:
        values = [{"text": "Grüße ✓"}, None, 0, "", [1, {"deep": [True]}], 2**70, 1.5]
        async with make_client(server.url, transport=transport, wire=wire) as client:
            events = await client.subscribe("/news/**")
            for value in values:
                await client.publish("/news/today", value)
            arrived = await take(events, len(values))
        assert [event.data for event in arrived] == values
        assert {event.channel for event in arrived} == {"/news/today"}

    @pytest.mark.parametrize(("transport", "wire"), WAYS)
    async def test_each_subscription_that_matches_gets_them(
        self, server: LocalServer, transport: Any, wire: Any
    ) -> None:
        async with make_client(server.url, transport=transport, wire=wire) as client:
            subscriptions = [await client.subscribe(name) for name in ("/a/b", "/a/*", "/**", "/a/b")]
            await client.publish("/a/b", 1)
            for subscription in subscriptions:
                assert [event.data for event in await take(subscription, 1)] == [1]

    async def test_iterating_ends_when_unsubscribed_and_the_server_knows(self, server: LocalServer) -> None:
        async with make_client(server.url) as client:
            async with await client.subscribe("/news") as events:
                await client.publish("/news", 1)
                await take(events, 1)
            assert [event async for event in events] == []
            (session,) = server.app.server.core.sessions
            assert session.subscriptions == set()

    async def test_the_server_keeps_a_channel_that_another_subscription_needs(self, server: LocalServer) -> None:
        async with make_client(server.url) as client:
            stays, goes = await client.subscribe("/news"), await client.subscribe("/news")
            await goes.unsubscribe()
            await client.publish("/news", 1)
            assert len(await take(stays, 1)) == 1

    async def test_closing_ends_the_iteration(self, server: LocalServer) -> None:
        client = make_client(server.url)
        await client.open()
        events = await client.subscribe("/news")
        await client.close()
        assert [event async for event in events] == []
        assert server.sessions == 0

    async def test_what_is_not_taken_in_time_is_told_once(self, server: LocalServer) -> None:
        gaps: list[Gap] = []
        async with make_client(server.url) as client:
            client.on_gap.append(gaps.append)
            events = await client.subscribe("/news", max_waiting=2)
            last = await client.subscribe("/last")
            await client.publish_all([("/news", number) for number in range(5)])
            await client.publish("/last", None)
            await take(last, 1)
            assert [event.data for event in await take(events, 2)] == [3, 4]
        assert gaps == [Gap("/news", "events were not taken in time")]


class TestCallbacks:
    async def test_they_are_called_in_order(self, server: LocalServer) -> None:
        seen: list[Any] = []
        done = asyncio.Event()

        def callback(event: Event) -> None:
            seen.append(event.data)
            if len(seen) == 3:
                done.set()

        async with make_client(server.url) as client, asyncio.timeout(PATIENCE_S):
            await client.subscribe("/news", callback)
            await client.publish_all([("/news", number) for number in range(3)])
            await done.wait()
        assert seen == [0, 1, 2]

    async def test_one_may_use_the_client(self, server: LocalServer) -> None:
        async with make_client(server.url) as client:
            answers = await client.subscribe("/answers")

            async def answer(event: Event) -> None:
                await client.publish("/answers", event.data * 2)

            await client.subscribe("/questions", answer)
            await client.publish("/questions", 21)
            assert [event.data for event in await take(answers, 1)] == [42]

    async def test_one_may_close_the_client(self, server: LocalServer) -> None:
        client = make_client(server.url)
        closed = asyncio.Event()

        async def leave(_event: Event) -> None:
            await client.close()
            closed.set()

        await client.open()
        await client.subscribe("/news", leave)
        await client.publish("/news", 1)
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()
        assert server.sessions == 0

    async def test_one_that_fails_stops_nothing(self, server: LocalServer) -> None:
        seen: asyncio.Queue[Any] = asyncio.Queue()

        def callback(event: Event) -> None:
            if event.data == 1:
                raise ValueError("a bug of the user's")
            seen.put_nowait(event.data)

        async with make_client(server.url) as client, asyncio.timeout(PATIENCE_S):
            await client.subscribe("/news", callback)
            await client.publish_all([("/news", 1), ("/news", 2)])
            assert await seen.get() == 2


class TestRefusals:
    async def test_a_publish_that_is_refused_raises(self, server: LocalServer) -> None:
        async with make_client(server.url) as client:
            with pytest.raises(RefusedError) as refused:
                await client.publish("/a/*", 1)
        assert (refused.value.code, refused.value.error[:3]) == (405, "405")

    async def test_a_subscription_that_is_refused_raises_and_is_forgotten(self, server: LocalServer) -> None:
        async with make_client(server.url) as client:
            with pytest.raises(RefusedError) as refused:
                await client.subscribe("/meta/*")
            await client.publish("/news", 1)
        assert refused.value.code == 403

    async def test_in_a_batch_each_message_has_its_own_outcome(self, server: LocalServer) -> None:
        async with make_client(server.url) as client:
            outcomes = await client.publish_all([("/a", 1), ("/a/*", 2), ("/b", 3)])
        assert [outcome and outcome.code for outcome in outcomes] == [None, 405, None]


class TestCalls:
    @pytest.mark.parametrize(("transport", "wire"), WAYS)
    async def test_a_service_answers(self, server: LocalServer, transport: Any, wire: Any) -> None:
        @server.app.server.service("/service/double/{what}")
        async def double(call: RemoteCall) -> object:
            return {call.parameters["what"]: call.data * 2}

        async with make_client(server.url, transport=transport, wire=wire) as client:
            assert await client.call("/service/double/it", 21) == {"it": 42}

    async def test_a_failure_is_raised_with_what_the_service_said(self, server: LocalServer) -> None:
        @server.app.server.service("/service/fails")
        async def fail(_call: RemoteCall) -> object:
            raise RemoteError(409, ["/x"], "conflict")

        async with make_client(server.url) as client:
            with pytest.raises(CallFailedError) as failed:
                await client.call("/service/fails")
        assert failed.value.data["code"] == 409

    async def test_a_channel_that_nobody_serves_is_told(self, server: LocalServer) -> None:
        async with make_client(server.url) as client:
            with pytest.raises(RefusedError) as refused:
                await client.call("/service/nobody")
        assert refused.value.code == 404


class TestConnecting:
    async def test_its_states_are_told(self, server: LocalServer) -> None:
        client = make_client(server.url)
        states = States(client)
        async with client:
            pass
        assert states.seen == [ClientState.CONNECTING, ClientState.CONNECTED, ClientState.CLOSED]

    async def test_a_callback_for_states_that_fails_stops_nothing(self, server: LocalServer) -> None:
        client = make_client(server.url)
        client.on_state.append(lambda _state: 1 / 0)
        async with client:
            await client.publish("/news", 1)

    async def test_where_a_websocket_is_refused_it_polls(self) -> None:
        full = {"limits": {"max_sockets": 1}}
        async with local_server(full) as server, aiohttp.ClientSession() as http:
            other = await http.ws_connect(server.url)
            async with make_client(server.url) as client:
                events = await client.subscribe("/news")
                await client.publish("/news", 1)
                assert len(await take(events, 1)) == 1
                (session,) = server.app.server.core.sessions
                assert session.transport == "long-polling"
            await other.close()

    async def test_where_a_websocket_opens_and_carries_nothing_it_polls(self) -> None:
        async with local_server() as server:

            async def half_a_proxy(request: web.Request) -> web.StreamResponse:
                if "Upgrade" in request.headers:
                    mute = web.WebSocketResponse()
                    await mute.prepare(request)
                    async for _ in mute:
                        pass
                    return mute
                async with (
                    aiohttp.ClientSession() as http,
                    http.post(server.url, data=await request.read(), headers=request.headers) as answer,
                ):
                    return web.Response(body=await answer.read(), content_type="application/json")

            app = web.Application()
            app.router.add_route("*", "/bayeux", half_a_proxy)
            runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            client = make_client(f"http://127.0.0.1:{runner.addresses[0][1]}/bayeux", timeout_s=0.5)
            states = States(client)
            opening = asyncio.create_task(_keep_opening(client))
            await states.reach(ClientState.CONNECTED)
            await opening
            await client.publish("/news", 1)
            await client.close()
            await runner.cleanup()

    async def test_a_websocket_alone_is_tried_if_asked_for(self) -> None:
        async with local_server({"limits": {"max_sockets": 1}}) as server, aiohttp.ClientSession() as http:
            other = await http.ws_connect(server.url)
            with pytest.raises(TransportError, match="WebSocket"):
                await make_client(server.url, transport="websocket", timeout_s=0.1).open()
            await other.close()

    async def test_where_nobody_listens_it_gives_up_in_time(self) -> None:
        with pytest.raises(TransportError, match="no connection"):
            await make_client(f"http://127.0.0.1:{free_port()}/bayeux", timeout_s=0.1).open()

    async def test_where_no_bayeux_is_spoken_it_says_so(self, server: LocalServer) -> None:
        with pytest.raises(TransportError, match="HTTP 405"):
            await make_client(server.base + "/healthz", timeout_s=0.2).open()

    async def test_one_that_is_not_open_says_so(self, server: LocalServer) -> None:
        client = make_client(server.url)
        with pytest.raises(ClientClosedError):
            await client.publish("/news", 1)
        async with client:
            pass
        with pytest.raises(ClientClosedError):
            await client.publish("/news", 1)


async def _keep_opening(client: BayeuxClient) -> None:
    client._connection.start()
    while client.state is not ClientState.CONNECTED:
        try:
            await client._connection.ready()
        except TransportError:
            continue


class TestLostConnection:
    @pytest.mark.parametrize(("transport", "wire"), WAYS)
    async def test_the_session_goes_on_and_nothing_is_lost(self, transport: Any, wire: Any) -> None:
        gaps: list[Gap] = []
        async with proxied(KEEPING) as (server, proxy, url):
            client = make_client(url, transport=transport, wire=wire)
            client.on_gap.append(gaps.append)
            states = States(client)
            async with client:
                events = await client.subscribe("/news")
                (session,) = server.app.server.core.sessions
                number = 0
                for _ in range(3):
                    for _ in range(2):
                        await server.app.server.publish("/news", number := number + 1)
                    proxy.cut()
                    await server.app.server.publish("/news", number := number + 1)
                    await states.reach(ClientState.RECONNECTING)
                    proxy.restore()
                    await states.reach(ClientState.CONNECTED)
                assert [event.data for event in await take(events, number)] == list(range(1, number + 1))
                assert list(server.app.server.core.sessions) == [session]
        assert gaps == []

    async def test_what_waits_for_an_answer_is_told(self) -> None:
        async with proxied(KEEPING) as (server, proxy, url):

            @server.app.server.service("/service/slow")
            async def slow(_call: RemoteCall) -> object:
                called.set()
                return await asyncio.get_running_loop().create_future()

            called = asyncio.Event()
            async with make_client(url) as client:
                calling = asyncio.create_task(client.call("/service/slow"))
                await called.wait()
                proxy.cut()
                with pytest.raises(TransportError):
                    await calling
                proxy.restore()
            for task in list(server.app.server.core.remote_calls._under_way):
                task.cancel()

    async def test_a_publish_waits_for_the_next_connection(self) -> None:
        async with proxied(KEEPING) as (_, proxy, url):
            client = make_client(url)
            states = States(client)
            async with client:
                events = await client.subscribe("/news")
                proxy.cut()
                await states.reach(ClientState.RECONNECTING)
                publishing = asyncio.create_task(client.publish("/news", 1))
                proxy.restore()
                await publishing
                assert len(await take(events, 1)) == 1


class TestLostSession:
    async def test_without_a_history_the_gap_is_told(self) -> None:
        port, gaps = free_port(), list[Gap]()
        client = make_client(f"http://127.0.0.1:{port}/bayeux")
        client.on_gap.append(gaps.append)
        states = States(client)
        async with server_at(port, {}):
            await client.open()
            events = await client.subscribe("/news")
        await states.reach(ClientState.RECONNECTING)
        async with server_at(port, {}):
            await states.reach(ClientState.CONNECTED)
            await client.publish("/news", 2)
            assert [event.data for event in await take(events, 1)] == [2]
            await client.close()
        assert gaps == [Gap("/news", "the session was lost, and the server keeps no history")]

    async def test_a_history_that_was_lost_with_it_is_told_once(self) -> None:
        port, gaps = free_port(), list[Gap]()
        client = make_client(f"http://127.0.0.1:{port}/bayeux")
        client.on_gap.append(gaps.append)
        states = States(client)
        async with server_at(port, KEEPING):
            await client.open()
            events = await client.subscribe("/news")
            await client.publish("/news", 1)
            await take(events, 1)
        await states.reach(ClientState.RECONNECTING)
        async with server_at(port, KEEPING):
            await states.reach(ClientState.CONNECTED)
            await client.publish("/news", 2)
            assert [event.data for event in await take(events, 1)] == [2]
            await client.close()
        assert gaps == [Gap("/news", "the server's history does not reach back that far")]

    async def test_a_history_that_outlives_it_leaves_no_gap(self, redis_url: str) -> None:
        sections = {**KEEPING, "backend": {"history": "redis", "redis_url": redis_url}}
        port, gaps = free_port(), list[Gap]()
        client = make_client(f"http://127.0.0.1:{port}/bayeux")
        client.on_gap.append(gaps.append)
        states = States(client)
        async with server_at(port, sections) as app:
            await client.open()
            events = await client.subscribe("/news")
            await app.server.publish("/news", 1)
            assert [event.data for event in await take(events, 1)] == [1]
        await states.reach(ClientState.RECONNECTING)
        async with server_at(free_port(), sections) as elsewhere:
            await elsewhere.server.publish("/news", 2)
        async with server_at(port, sections) as app:
            await states.reach(ClientState.CONNECTED)
            await app.server.publish("/news", 3)
            assert [event.data for event in await take(events, 2)] == [2, 3]
            await client.close()
        assert gaps == []

    async def test_a_server_that_ends_the_session_for_good_is_obeyed(self, server: LocalServer) -> None:
        client = make_client(server.url)
        await client.open()
        events = await client.subscribe("/news")
        (session,) = server.app.server.core.sessions
        server.app.server.disconnect(session)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(ClientClosedError, match="ended the session"):
                await anext(events)
            with pytest.raises(ClientClosedError):
                await client.wait_closed()
            with pytest.raises(ClientClosedError):
                await client.publish("/news", 1)
        assert client.state is ClientState.CLOSED
        await client.close()

    async def test_a_session_that_expired_begins_anew(self) -> None:
        async with local_server(KEEPING) as server:
            client = make_client(server.url, transport="long-polling")
            states = States(client)
            async with client:
                events = await client.subscribe("/news")
                (session,) = server.app.server.core.sessions
                server.app.server.core.sessions._sessions.pop(session.id)  # as if another node had answered
                session.release()
                await states.reach(ClientState.RECONNECTING)
                await states.reach(ClientState.CONNECTED)
                await client.publish("/news", 1)
                assert len(await take(events, 1)) == 1


class TestReplay:
    async def test_all_that_is_kept_comes_first(self, server: LocalServer) -> None:
        for number in range(3):
            await server.app.server.publish("/news", number)
        async with make_client(server.url) as client:
            events = await client.subscribe("/news", replay_from=-2)
            await client.publish("/news", 3)
            arrived = await take(events, 4)
        assert [event.data for event in arrived] == [0, 1, 2, 3]

    async def test_it_can_begin_after_an_event(self, server: LocalServer) -> None:
        async with make_client(server.url) as client:
            first = await client.subscribe("/news")
            await client.publish_all([("/news", number) for number in range(4)])
            seen = await take(first, 2)
            events = await client.subscribe("/news", replay_from=seen[1].replay_id)
            assert [event.data for event in await take(events, 2)] == [2, 3]
            assert [event.data for event in await take(first, 2)] == [2, 3]

    async def test_an_unknown_id_is_told_and_gets_what_is_kept(self, server: LocalServer) -> None:
        gaps: list[Gap] = []
        await server.app.server.publish("/news", 1)
        async with make_client(server.url) as client:
            client.on_gap.append(gaps.append)
            events = await client.subscribe("/news", replay_from=5)
            assert [event.data for event in await take(events, 1)] == [1]
        assert gaps == [Gap("/news", "the server's history does not reach back that far")]


class TestTokens:
    @staticmethod
    def guarded(key: SigningKey) -> dict[str, Any]:
        issuer = {"issuer": ISSUER, "audiences": [AUDIENCE], "keys": [{"kid": key.kid, "pem": key.pem}]}
        rules = [{"channel": "/**", "allow": ["create", "subscribe", "publish"]}]
        return {
            "security": {"mode": "rules"},
            "rules": [*rules, {"channel": "/service/auth/refresh", "allow": ["publish"]}],
            "extensions": {"authentication": {"issuers": [issuer]}, "acknowledge": {}, "replay": {}},
        }

    async def test_without_one_the_refusal_is_told(self) -> None:
        async with local_server(self.guarded(SigningKey("k1")), clock=ManualClock()) as server:
            with pytest.raises(RefusedError) as refused:
                await make_client(server.url).open()
        assert refused.value.code == 403

    @pytest.mark.parametrize(("transport", "wire"), WAYS)
    async def test_with_one_it_gets_in(self, transport: Any, wire: Any) -> None:
        key = SigningKey("k1")
        async with local_server(self.guarded(key), clock=ManualClock()) as server:
            client = make_client(server.url, transport=transport, wire=wire, token=key.token("cc_456"))
            async with client:
                await client.publish("/news", 1)
                (session,) = server.app.server.core.sessions
                assert session.user_id == "cc_456"

    @pytest.mark.parametrize("transport", ["websocket", "long-polling"])
    async def test_a_refreshed_one_outlives_the_first(self, transport: Any) -> None:
        key = SigningKey("k1")
        async with local_server(self.guarded(key), clock=ManualClock()) as server:
            client = make_client(server.url, transport=transport, token=key.token(lives_s=5))
            async with client:
                await client.refresh(key.token(lives_s=600))
                server.advance(40)
                await client.publish("/news", 1)
                assert client.state is ClientState.CONNECTED

    async def test_one_that_ends_ends_the_client(self) -> None:
        key = SigningKey("k1")
        async with local_server(self.guarded(key), clock=ManualClock()) as server:
            client = make_client(server.url, token=key.token(lives_s=5))
            await client.open()
            server.advance(40)
            # Told so by the session's end, or at the next handshake with the same token.
            with pytest.raises((ClientClosedError, RefusedError)):
                await client.wait_closed()
            await client.close()

    async def test_a_function_is_asked_for_each_session(self) -> None:
        key, port, asked = SigningKey("k1"), free_port(), list[str]()

        async def token() -> str:
            asked.append("token")
            return key.token("cc_456", iat=None, exp=4_000_000_000)

        client = make_client(f"http://127.0.0.1:{port}/bayeux", token=token)
        states = States(client)
        async with server_at(port, self.guarded(key)):
            await client.open()
        await states.reach(ClientState.RECONNECTING)
        async with server_at(port, self.guarded(key)):
            await states.reach(ClientState.CONNECTED)
            await client.close()
        assert len(asked) >= 2


class TestSync:
    async def test_publish_subscribe_and_call(self, server: LocalServer) -> None:
        @server.app.server.service("/service/echo")
        async def echo(call: RemoteCall) -> object:
            return call.data

        def work() -> tuple[Any, list[Any], list[int | None]]:
            with SyncBayeuxClient(server.url) as client, client.subscribe("/news") as events:
                client.publish("/news", 1)
                outcomes = client.publish_all([("/news", 2), ("/a/*", 3)])
                taken = [next(events).data, next(events).data]
                return client.call("/service/echo", "hi"), taken, [each.code if each else None for each in outcomes]

        assert await asyncio.to_thread(work) == ("hi", [1, 2], [None, 405])

    async def test_closing_ends_an_iteration_in_another_thread(self, server: LocalServer) -> None:
        client = SyncBayeuxClient(server.url)
        await asyncio.to_thread(client.__enter__)
        events = await asyncio.to_thread(client.subscribe, "/news")
        reading = asyncio.create_task(asyncio.to_thread(list, events))
        await asyncio.to_thread(client.publish, "/news", 1)
        await asyncio.to_thread(client.__exit__, None, None, None)
        async with asyncio.timeout(PATIENCE_S):
            assert [event.data for event in await reading] in ([1], [])

    async def test_closing_ends_a_call_in_another_thread(self, server: LocalServer) -> None:
        called = asyncio.Event()

        @server.app.server.service("/service/slow")
        async def slow(_call: RemoteCall) -> object:
            called.set()
            return await asyncio.get_running_loop().create_future()

        client = SyncBayeuxClient(server.url)
        await asyncio.to_thread(client.__enter__)
        calling = asyncio.create_task(asyncio.to_thread(client.call, "/service/slow"))
        await called.wait()
        await asyncio.to_thread(client.__exit__, None, None, None)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises((ClientClosedError, TransportError)):
                await calling
        for task in list(server.app.server.core.remote_calls._under_way):
            task.cancel()

    async def test_its_own_thread_is_told_not_to_wait_for_itself(self, server: LocalServer) -> None:
        complaints: list[str] = []

        def on_state(state: ClientState) -> None:
            if state is ClientState.CLOSED:
                try:
                    client.publish("/news", 1)
                except RuntimeError as error:
                    complaints.append(str(error))

        client = SyncBayeuxClient(server.url, on_state=on_state)

        def work() -> None:
            with client:
                client.publish("/news", 1)

        await asyncio.to_thread(work)
        assert complaints == ["the client cannot be called from its own callbacks"]

    async def test_a_closed_one_says_so(self, server: LocalServer) -> None:
        client = SyncBayeuxClient(server.url)
        with pytest.raises(ClientClosedError):
            client.publish("/news", 1)

        def work() -> None:
            with client:
                pass
            client.publish("/news", 1)

        with pytest.raises(ClientClosedError):
            await asyncio.to_thread(work)

    async def test_one_that_cannot_connect_leaves_no_thread(self) -> None:
        client = SyncBayeuxClient(f"http://127.0.0.1:{free_port()}/bayeux", timeout_s=0.05)
        with pytest.raises(TransportError):
            await asyncio.to_thread(client.__enter__)
        assert not client._thread.is_alive()

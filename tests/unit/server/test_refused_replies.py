"""A reply that an extension refuses at the last moment: what it says and what is true are the same."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Reply
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from tests.support.bench import Bench, BenchClient, open_bench


class _Refusing(Extension):
    """Refuses the replies on one channel: on purpose, or because it is broken."""

    def __init__(self, channel: str, error: Exception) -> None:
        self._channel = channel
        self._error = error

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        if reply.channel == self._channel:
            raise self._error


class _RefusingLate(_Refusing):
    async def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().outgoing_meta(session, reply)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as bench:
        yield bench


@pytest.fixture
async def client(bench: Bench) -> BenchClient:
    client = await bench.client()
    await client.subscribe("/old")
    return client


@pytest.mark.parametrize("kind", [_Refusing, _RefusingLate])
class TestRefusedReply:
    async def test_of_a_handshake_ends_the_session(self, bench: Bench, kind: type[_Refusing]) -> None:
        bench.server.add_extension(kind("/meta/handshake", RemoteError(403, (), "not_today")))
        reply = await BenchClient(bench).handshake()
        assert (reply["successful"], reply["error"], reply["advice"]["reconnect"]) == (False, "403::not_today", "none")
        assert "clientId" not in reply
        assert len(bench.server.core.sessions) == 0

    async def test_of_a_subscribe_takes_back_what_is_new(
        self, bench: Bench, client: BenchClient, kind: type[_Refusing]
    ) -> None:
        left: list[str] = []
        bench.server.core.on_unsubscribed.append(lambda _session, channel, _message: left.append(channel.name))
        bench.server.add_extension(kind("/meta/subscribe", RemoteError(403, (), "not_today")))
        assert (await client.subscribe(["/old", "/new"]))["error"] == "403::not_today"
        assert (client.session.subscriptions, left) == ({"/old"}, ["/new"])

    async def test_of_an_unsubscribe_leaves_the_session_subscribed(
        self, bench: Bench, client: BenchClient, kind: type[_Refusing]
    ) -> None:
        bench.server.add_extension(kind("/meta/unsubscribe", RemoteError(403, (), "not_today")))
        reply = (await client.send("/meta/unsubscribe", subscription="/old")).reply
        await client.publish("/old", "still heard")
        assert reply["error"] == "403::not_today"
        assert [event["data"] for event in await client.events()] == ["still heard"]

    async def test_of_a_connect_carries_its_events_all_the_same(
        self, bench: Bench, client: BenchClient, kind: type[_Refusing]
    ) -> None:
        await client.publish("/old", "waiting")
        bench.server.add_extension(kind("/meta/connect", RemoteError(503, (), "not_now")))
        exchange = await client.connect()
        assert exchange.reply["error"] == "503::not_now"
        assert [event["data"] for event in exchange.events] == ["waiting"]

    @pytest.mark.parametrize("error", [RemoteError(403, (), "too_late"), ValueError("as code may")])
    async def test_of_a_publish_that_went_out_is_a_success_all_the_same(
        self, bench: Bench, client: BenchClient, kind: type[_Refusing], error: Exception
    ) -> None:
        bench.server.add_extension(kind("/old", error))
        with capture_logs() as entries:
            reply = await client.publish("/old", "once")
        assert (reply["successful"], "error" in reply) == (True, False)
        assert [event["data"] for event in await client.events()] == ["once"]
        assert [entry["event"] for entry in entries if entry["log_level"] == "error"] == ["extension.failed"]

    async def test_of_a_publish_that_was_refused_before_says_so(
        self, bench: Bench, client: BenchClient, kind: type[_Refusing]
    ) -> None:
        bench.server.add_extension(kind("/old/*", RemoteError(403, (), "not_today")))
        assert (await client.publish("/old/*"))["successful"] is False

    async def test_of_a_disconnect_is_a_success_all_the_same(
        self, bench: Bench, client: BenchClient, kind: type[_Refusing]
    ) -> None:
        bench.server.add_extension(kind("/meta/disconnect", RemoteError(403, (), "stay")))
        with capture_logs():
            reply = (await client.send("/meta/disconnect")).reply
        assert reply["successful"] is True
        assert bench.server.core.sessions.why_ended(client.id) == "disconnect"


class TestFailingListener:
    """What a listener may still refuse is taken back; what has happened stays, whoever raises."""

    async def test_of_a_subscription_refuses_it(self, bench: Bench, client: BenchClient) -> None:
        def refuse(session: ServerSession, channel: ChannelId, message: object) -> None:
            if channel.name == "/second":
                raise ValueError("as code may")

        bench.server.core.on_subscribed.append(refuse)
        assert (await client.subscribe(["/first", "/second"]))["error"] == "500::server_error"
        assert client.session.subscriptions == {"/old"}

    async def test_of_a_new_session_refuses_the_handshake(self, bench: Bench) -> None:
        bench.server.core.sessions.on_added.append(_break)
        assert (await BenchClient(bench).handshake())["error"] == "500::server_error"
        assert len(bench.server.core.sessions) == 0

    @pytest.mark.parametrize("listeners", ["on_unsubscribed", "on_removed"])
    async def test_of_an_end_does_not_keep_the_session(self, bench: Bench, client: BenchClient, listeners: str) -> None:
        owner = bench.server.core if listeners == "on_unsubscribed" else bench.server.core.sessions
        getattr(owner, listeners).insert(0, _break)
        reply = (await client.send("/meta/disconnect")).reply
        channel = bench.server.core.channels.get("/old")
        assert reply["successful"] is True
        assert len(bench.server.core.sessions) == 0
        assert channel is not None
        assert not channel.subscribers


async def test_channel_too_many_leaves_nothing_of_its_list_subscribed() -> None:
    async with open_bench({"limits": {"max_channels": 2}}) as bench:
        client = await bench.client()
        assert "too_many_channels" in (await client.subscribe(["/1", "/2", "/3"]))["error"]
        assert client.session.subscriptions == set()


def _break(*_: object) -> None:
    raise ValueError("as code may")

"""The order in which extensions, policy and authorizers see a message: what ``server/extension.py`` promises."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
from structlog.testing import capture_logs

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Message, Publication, Publish, Reply
from bayeux_server.server.authorizer import AllowAll, Operation, Verdict
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Extension, SessionExtension
from bayeux_server.server.session import ServerSession
from tests.support.bench import Bench, BenchClient, open_bench

Diary = list[str]


class Recorder(Extension):
    """Notes each hook that is called.

    Args:
        waits: Whether the incoming hooks have to be waited for.
    """

    def __init__(self, name: str, diary: Diary, *, waits: bool = False) -> None:
        self.name = name
        self._diary = diary
        self._waits = waits

    def incoming_meta(self, session: ServerSession | None, message: Message) -> Awaitable[None] | None:
        return self._seen("incoming_meta")

    def incoming(self, session: ServerSession | None, message: Publish) -> Awaitable[None] | None:
        return self._seen("incoming")

    def take_over(self, session: ServerSession | None, message: Publish) -> bool:
        self._diary.append(f"take_over {self.name}")
        return False

    def publishing(self, publication: Publication) -> None:
        self._diary.append(f"publishing {self.name}")

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        self._diary.append(f"outgoing_meta {self.name}")

    def outgoing(self, publication: Publication, delivery: Delivery) -> None:
        self._diary.append(f"outgoing {self.name}")

    async def start(self) -> None:
        self._diary.append(f"start {self.name}")

    async def stop(self) -> None:
        self._diary.append(f"stop {self.name}")

    def _seen(self, hook: str) -> Awaitable[None] | None:
        if self._waits:
            return self._seen_later(hook)
        self._diary.append(f"{hook} {self.name}")
        return None

    async def _seen_later(self, hook: str) -> None:
        await asyncio.sleep(0)
        self._diary.append(f"{hook} {self.name}")


class SessionRecorder(SessionExtension):
    def __init__(self, name: str, diary: Diary) -> None:
        self._name = name
        self._diary = diary

    def incoming_meta(self, session: ServerSession, message: Message) -> None:
        self._diary.append(f"incoming_meta {self._name}")

    def incoming(self, session: ServerSession, message: Publish) -> None:
        self._diary.append(f"incoming {self._name}")

    def outgoing_meta(self, session: ServerSession, reply: Reply) -> None:
        self._diary.append(f"outgoing_meta {self._name}")

    def outgoing(self, session: ServerSession, delivery: Delivery) -> Delivery:
        self._diary.append(f"outgoing {self._name}")
        return delivery


class RecordingPolicy(AllowAll):
    def __init__(self, diary: Diary) -> None:
        super().__init__()
        self._diary = diary

    def can_subscribe(self, session: ServerSession, channel: ChannelId) -> bool:
        self._diary.append("policy")
        return True

    def can_publish(self, session: ServerSession | None, message: Publish) -> bool:
        self._diary.append("policy")
        return True


class RecordingAuthorizer:
    def __init__(self, diary: Diary) -> None:
        self._diary = diary

    def authorize(self, operation: Operation, channel: ChannelId, session: ServerSession | None) -> Verdict:
        self._diary.append("authorizer")
        return Verdict.GRANT


@pytest.fixture
def diary() -> Diary:
    return []


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as bench:
        yield bench


@pytest.fixture
async def client(bench: Bench, diary: Diary) -> BenchClient:
    """A client of a server with two extensions, the first of which waits, and two of its own session."""
    client = await bench.client()
    await client.subscribe("/a")
    bench.server.add_extension(Recorder("first", diary, waits=True))
    bench.server.add_extension(Recorder("second", diary))
    client.session.extensions = (SessionRecorder("own first", diary), SessionRecorder("own second", diary))
    bench.server.core.policy = RecordingPolicy(diary)
    channel = bench.server.core.channels.get("/a")
    assert channel is not None
    channel.authorizers.append(RecordingAuthorizer(diary))
    return client


class TestOrder:
    async def test_of_a_meta_message(self, client: BenchClient, diary: Diary) -> None:
        await client.subscribe("/a")
        assert diary == [
            "incoming_meta first",
            "incoming_meta second",
            "incoming_meta own first",
            "incoming_meta own second",
            "policy",
            "authorizer",
            "outgoing_meta own second",
            "outgoing_meta own first",
            "outgoing_meta second",
            "outgoing_meta first",
        ]

    async def test_of_a_publish_and_its_event(self, client: BenchClient, diary: Diary) -> None:
        await client.publish("/a")
        assert diary == [
            "incoming first",
            "incoming second",
            "incoming own first",
            "incoming own second",
            "policy",
            "authorizer",
            "take_over first",
            "take_over second",
            "publishing first",
            "publishing second",
            "outgoing second",
            "outgoing first",
            "outgoing own second",
            "outgoing own first",
            "outgoing_meta own second",
            "outgoing_meta own first",
            "outgoing_meta second",
            "outgoing_meta first",
        ]

    async def test_of_what_the_server_itself_publishes(self, bench: Bench, client: BenchClient, diary: Diary) -> None:
        await bench.server.publish("/a", 1)
        assert diary == [
            "publishing first",
            "publishing second",
            "outgoing second",
            "outgoing first",
            "outgoing own second",
            "outgoing own first",
        ]

    async def test_of_starting_and_stopping(self, diary: Diary) -> None:
        async with open_bench() as bench:
            for name in ("first", "second"):
                bench.server.add_extension(Recorder(name, diary))
            await bench.server.core.hooks.extensions[0].start()
            diary.clear()
        assert diary == ["stop second", "stop first"]

    async def test_of_stopping_when_one_cannot(self, diary: Diary) -> None:
        class Failing(Extension):
            name = "failing"

            async def stop(self) -> None:
                raise ValueError("a secret")

        with capture_logs() as logs:
            async with open_bench() as bench:
                for extension in (Recorder("first", diary), Failing(), Recorder("third", diary)):
                    bench.server.add_extension(extension)
                diary.clear()
        assert diary == ["stop third", "stop first"]
        assert [(entry["event"], entry["extension"]) for entry in logs] == [("extension.stop_failed", "failing")]

    async def test_of_messages_in_one_batch(self, bench: Bench, client: BenchClient, diary: Diary) -> None:
        messages = [
            {"channel": "/b", "clientId": client.id, "data": 1},
            {"channel": "/c", "clientId": client.id, "data": 1},
        ]
        await bench.request(*messages)
        first, second = [place for place, entry in enumerate(diary) if entry == "incoming first"]
        assert diary[first:second].count("outgoing_meta first") == 1


class TestRefusals:
    """A hook that raises refuses that one message; nothing behind it sees it."""

    async def test_with_the_error_it_says(self, bench: Bench, client: BenchClient, diary: Diary) -> None:
        class Refusing(Extension):
            def incoming(self, session: ServerSession | None, message: Publish) -> None:
                raise RemoteError(403, [message.channel.name], "not_today")

        bench.server.add_extension(Refusing())
        reply = await client.publish("/a")
        assert reply["error"] == "403:/a:not_today"
        assert diary == [
            "incoming first",
            "incoming second",
            "outgoing_meta own second",
            "outgoing_meta own first",
            "outgoing_meta second",
            "outgoing_meta first",
        ]

    @pytest.mark.parametrize("hook", ["incoming", "take_over", "publishing"])
    async def test_with_a_500_when_it_breaks_and_nothing_is_published(
        self, bench: Bench, client: BenchClient, hook: str
    ) -> None:
        def broken(*_: object) -> None:
            raise ValueError("as code may")

        bench.server.add_extension(type("Broken", (Extension,), {hook: staticmethod(broken)})())
        reply = await client.publish("/a")
        assert (reply["successful"], reply["error"]) == (False, "500::server_error")
        assert await client.events() == []

    async def test_an_event_that_cannot_be_completed_reaches_nobody(self, bench: Bench, client: BenchClient) -> None:
        class Broken(Extension):
            def outgoing(self, publication: Publication, delivery: Delivery) -> None:
                raise ValueError("as code may")

        bench.server.add_extension(Broken())
        await client.publish("/a")
        assert await client.events() == []

    async def test_the_rest_of_the_batch_goes_on(self, bench: Bench, client: BenchClient) -> None:
        class Picky(Extension):
            def incoming(self, session: ServerSession | None, message: Publish) -> None:
                if bytes(message.data) == b'"bad"':
                    raise ValueError("as code may")

        bench.server.add_extension(Picky())
        messages = [{"channel": "/a", "clientId": client.id, "data": data} for data in ("bad", "good")]
        exchange = await bench.request(*messages)
        assert [reply["successful"] for reply in exchange.replies] == [False, True]
        assert [event["data"] for event in await client.events()] == ["good"]


class TestWhoPublishes:
    """What an extension learns of the publisher: its session, or a stand-in, or nothing."""

    async def test_who_has_no_session_is_shown_by_address_and_identity(self, bench: Bench) -> None:
        seen: list[ServerSession | None] = []

        class Looking(Extension):
            def incoming(self, session: ServerSession | None, message: Publish) -> None:
                seen.append(session)

        bench.server.add_extension(Looking())
        sessions = len(bench.server.core.sessions)
        await bench.request({"channel": "/a", "data": 1}, address="192.0.2.7", user="sarah")
        await bench.request({"channel": "/a", "data": 1}, address="192.0.2.8")
        await bench.request({"channel": "/a", "data": 1, "clientId": "made-up"})
        assert [(each.address, each.user_id, each.is_open) for each in seen if each is not None] == [
            ("192.0.2.7", "sarah", False),
            ("192.0.2.8", None, False),
        ]
        assert seen[2:] == [None]
        assert len(bench.server.core.sessions) == sessions

    async def test_who_proved_nothing_is_nobody_to_the_policy(self, bench: Bench) -> None:
        reply = (await bench.request({"channel": "/a", "data": 1})).reply
        assert reply["error"] == "402::session_unknown"

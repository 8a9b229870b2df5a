import asyncio
from collections.abc import Collection, Coroutine, Iterable, Sequence

import pytest
from structlog.testing import capture_logs

from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Extension, SessionExtension
from bayeux_server.server.fanout import Fanout, View
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.observer import Observer
from bayeux_server.server.session import ServerSession
from tests.support.core import Turns, make_core
from tests.support.manual_clock import ManualClock

parse = ChannelGrammar().parse


class _Counting(Observer):
    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def delivered(self, deliveries: int) -> None:
        self.counts.append(deliveries)


class _Fanned:
    def setup_method(self) -> None:
        self.observer = _Counting()
        self.core = make_core(ManualClock(), Turns(), observer=self.observer)
        self.lazy: list[ServerSession] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.fanout = Fanout(
            self.core.channels, self.core.hooks, self.core.flush, self.observer, self._wait, self._spawn
        )

    def _wait(self, sessions: Iterable[ServerSession]) -> None:
        self.lazy += sessions

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    def _subscriber(self, *names: str) -> ServerSession:
        session = Lifecycle(self.core).new_session(address="", transport="websocket")
        for name in names:
            self.core.channels.subscribe(session, parse(name))
        return session

    def _publish(self, name: str, data: bytes = b"1") -> None:
        self.fanout.on_publication(Publication(parse(name), data))


class TestFanout(_Fanned):
    def test_all_who_share_a_view_share_one_delivery(self) -> None:
        sessions = [self._subscriber("/a") for _ in range(3)]
        self._publish("/a")
        [delivery] = {session.queue[0] for session in sessions}
        assert delivery.json == b'{"channel":"/a","data":1}'
        assert self.observer.counts == [3]

    def test_session_with_several_matching_subscriptions_gets_one(self) -> None:
        session = self._subscriber("/a/b", "/a/*", "/**")
        self._publish("/a/b")
        assert len(session.queue) == 1

    def test_listeners_are_told_and_one_that_raises_stops_nobody(self) -> None:
        session, told = self._subscriber("/a"), []
        channel = self.core.channels.get_or_create(parse("/a"))

        def fail(_publication: Publication) -> None:
            raise ValueError

        def tell(publication: Publication) -> None:
            told.append(publication.data)

        channel.listeners += [fail, tell]
        with capture_logs() as entries:
            self._publish("/a")
        assert told == [b"1"]
        assert len(session.queue) == 1
        assert [entry["event"] for entry in entries] == ["listener.failed"]

    def test_lazy_channel_above_makes_it_wait(self) -> None:
        session = self._subscriber("/a/b")
        self.core.channels.get_or_create(parse("/a/**")).lazy = True
        self._publish("/a/b")
        assert self.lazy == [session]
        assert session.queue[0].lazy
        assert not session.dirty

    def test_session_extension_may_replace_or_withhold(self) -> None:
        class Withholding(SessionExtension):
            def outgoing(self, session: ServerSession, delivery: Delivery) -> Delivery | None:
                return None if delivery.data == b"0" else delivery

        extended, plain = self._subscriber("/a"), self._subscriber("/a")
        extended.extensions = (Withholding(),)
        for data in (b"0", b"1"):
            self._publish("/a", data)
        assert [delivery.data for delivery in extended.queue] == [b"1"]
        assert [delivery.data for delivery in plain.queue] == [b"0", b"1"]

    def test_session_extension_may_take_itself_off(self) -> None:
        class Once(SessionExtension):
            def outgoing(self, session: ServerSession, delivery: Delivery) -> Delivery | None:
                session.extensions = ()
                return delivery

        session = self._subscriber("/a")
        session.extensions = (Once(),)
        for data in (b"1", b"2"):
            self._publish("/a", data)
        assert [delivery.data for delivery in session.queue] == [b"1", b"2"]

    def test_outgoing_hook_that_raises_lets_nothing_out(self) -> None:
        class Failing(Extension):
            def outgoing(self, publication: Publication, delivery: Delivery) -> None:
                raise ValueError

        self.core.hooks.add(Failing())
        session = self._subscriber("/a")
        with capture_logs() as entries:
            self._publish("/a")
        assert session.queue == []
        assert [entry["event"] for entry in entries] == ["extension.failed"]


class _Views:
    """Shows each session its own view, after a gate opens; hides what it is told to."""

    def __init__(self, gate: asyncio.Event | None = None, *, fails: bool = False) -> None:
        self._gate = gate
        self._fails = fails

    async def views(self, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
        if self._gate is not None:
            await self._gate.wait()
        if self._fails:
            raise ValueError
        return [(publication, audience)]


class TestViews(_Fanned):
    async def test_channel_keeps_its_order_while_a_decision_waits(self) -> None:
        gate = asyncio.Event()
        self.fanout.set_view_policy(parse("/a"), _Views(gate))
        session = self._subscriber("/a", "/b")
        for name, data in (("/a", b"1"), ("/a", b"2"), ("/b", b"3")):
            self._publish(name, data)
        assert [delivery.data for delivery in session.queue] == [b"3"]
        gate.set()
        await asyncio.gather(*self.tasks)
        self._publish("/a", b"4")
        await asyncio.gather(*self.tasks)
        assert [delivery.data for delivery in session.queue] == [b"3", b"1", b"2", b"4"]

    async def test_decision_that_fails_hides_the_publication_from_everyone(self) -> None:
        self.fanout.set_view_policy(parse("/**"), _Views(fails=True))
        session = self._subscriber("/a")
        with capture_logs() as entries:
            self._publish("/a")
            await asyncio.gather(*self.tasks)
        assert session.queue == []
        assert [entry["event"] for entry in entries] == ["view.failed"]

    @pytest.mark.parametrize(("patterns", "sees"), [(["/**", "/a/*"], False), (["/a/**", "/b"], True)])
    async def test_most_exact_pattern_decides(self, patterns: list[str], sees: bool) -> None:
        for pattern in patterns:
            self.fanout.set_view_policy(parse(pattern), _Views(fails=pattern == "/a/*"))
        session = self._subscriber("/a/b")
        with capture_logs():
            self._publish("/a/b")
            await asyncio.gather(*self.tasks)
        assert bool(session.queue) is sees

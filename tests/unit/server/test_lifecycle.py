import json

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.session_state import Event, State
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.limits import Limits
from bayeux_server.server.session import ServerSession
from tests.support.core import FakePipe, Turns, make_core, make_delivery
from tests.support.manual_clock import ManualClock


class TestLifecycle:
    def setup_method(self) -> None:
        self.clock, self.turns = ManualClock(), Turns()
        self.core = make_core(self.clock, self.turns, limits=Limits(max_queue_messages=2))
        self.lifecycle = Lifecycle(self.core)
        self.left: list[tuple[ServerSession, str]] = []
        self.core.on_unsubscribed.append(self._left)

    def _left(self, session: ServerSession, channel: ChannelId, _message: object) -> None:
        self.left.append((session, channel.name))

    def _session(self) -> ServerSession:
        session = self.lifecycle.new_session(address="", transport="websocket")
        self.core.sessions.add(session)
        self.lifecycle.expect_connect(session)
        for name in ("/b", "/a"):
            self.core.channels.subscribe(session, self.core.grammar.parse(name))
        return session

    def test_session_expires_unless_it_connects(self) -> None:
        session = self._session()
        self.clock.advance(44)
        self.lifecycle.expect_connect(session)
        self.clock.advance(44)
        assert session.is_open
        self.clock.advance(1)
        assert session.state is State.CLOSED
        assert self.core.sessions.why_ended(session.id) == "expired"

    def test_end_leaves_channels_in_order_and_tells_listeners(self) -> None:
        session = self._session()
        self.lifecycle.end(session, Event.DISCONNECT, "disconnect")
        assert self.left == [(session, "/a"), (session, "/b")]
        assert not self.core.channels.matching(self.core.grammar.parse("/a"))[0].subscribers

    def test_end_happens_once(self) -> None:
        session = self._session()
        self.lifecycle.end(session, Event.DISCONNECT, "disconnect")
        self.lifecycle.end(session, Event.DISCONNECT, "again")
        self.lifecycle.disconnect(session, "again")
        assert self.core.sessions.why_ended(session.id) == "disconnect"

    def test_last_events_and_the_notice_go_out_before_the_pipe_ends(self) -> None:
        session = self._session()
        session.pipe = pipe = FakePipe()
        event = make_delivery("/a")
        session.deliver(event)
        self.lifecycle.disconnect(session, "kicked")
        assert pipe.pushed[0] is event
        assert json.loads(pipe.pushed[1].json) == {"channel": "/meta/disconnect", "successful": True}
        assert pipe.ended == "kicked"

    def test_pipe_that_is_gone_is_forgotten_only_if_it_is_still_the_one(self) -> None:
        session = self._session()
        old, new = FakePipe(), FakePipe()
        session.pipe = new
        self.lifecycle.detach(session, old)
        assert session.pipe is new
        self.lifecycle.detach(session, new)
        assert session.pipe is None

    def test_overflow_ends_the_session(self) -> None:
        session = self._session()
        for _ in range(3):
            session.deliver(make_delivery("/a"))
        self.turns.end()
        assert self.core.sessions.why_ended(session.id) == "queue_overflow"

"""The session table as a state machine: whatever happens in whatever order, no event is lost and no session leaks."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from bayeux_server.protocol.advice import ClientAdvice
from bayeux_server.protocol.messages import Connect, Publication
from bayeux_server.protocol.session_state import Event, State
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.fanout import Fanout
from bayeux_server.server.handlers.connect import ConnectHandler
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.origin import Origin
from bayeux_server.server.registry import SessionRegistry
from bayeux_server.server.session import Hold, ServerSession
from tests.support.core import FakePipe, Turns, make_core
from tests.support.examples import examples
from tests.support.manual_clock import ManualClock

HOLD_S = 25.0
MAX_INTERVAL_S = 45.0
CHANNELS = ("/a", "/b")


class Seen:
    """What a client has been sent, and what it is owed, by the number of the publication."""

    def __init__(self) -> None:
        self.owed: list[bytes] = []
        self.got: list[bytes] = []
        self.answers: list[str] = []
        self.origin: Origin | None = None
        self.hold: Hold | None = None
        self.pipe: FakePipe | None = None

    def take(self) -> None:
        """Move what was pushed to what was got."""
        if self.pipe is not None:
            self.got += [delivery.data for delivery in self.pipe.pushed if delivery.channel.name in CHANNELS]
            self.pipe.pushed.clear()

    def answered(self, deliveries: list[Delivery], reconnect: str) -> None:
        """Take the answer of a held connect. What was pushed before it came first."""
        self.take()
        self.got += [delivery.data for delivery in deliveries if delivery.channel.name in CHANNELS]
        self.answers.append(reconnect)


class SessionTable(RuleBasedStateMachine):
    """Drives the registry, the lifecycle and the connect handler; a naive model says what has to come of it."""

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.turns = ManualClock(), Turns()
        self.registry = SessionRegistry()
        self.core = make_core(self.clock, self.turns, sessions=self.registry)
        self.lifecycle = Lifecycle(self.core)
        self.connect = ConnectHandler(self.core, self.lifecycle)
        core = self.core
        self.fanout = Fanout(
            core.channels, core.hooks, core.flush, core.observer, lambda _sessions: None, lambda work: work.close()
        )
        self.seen: dict[ServerSession, Seen] = {}
        self.published = 0

    # ---- what clients do

    @rule(target=sessions)
    def handshake(self) -> ServerSession:
        session = self.lifecycle.new_session(address="::1", transport="long-polling")
        self.registry.add(session)
        self.lifecycle.expect_connect(session)
        self.seen[session] = Seen()
        return session

    @rule(session=sessions, timeout=st.sampled_from([None, 0, 5_000]), by_socket=st.booleans(), alone=st.booleans())
    def connects(self, session: ServerSession, timeout: float | None, by_socket: bool, alone: bool) -> None:
        if not session.is_open:
            return
        seen = self.seen[session]
        seen.take()
        pipe = (seen.pipe or FakePipe(has_outlet=True)) if by_socket else None
        origin = Origin("websocket" if by_socket else "long-polling", "::1", pipe=pipe, socket=pipe)
        message = Connect(
            channel=self.core.grammar.parse("/meta/connect"),
            connection_type=origin.transport,
            advice=ClientAdvice(timeout),
        )
        result = self.connect.process(session, message, origin, seen.answered, alone=alone)
        if isinstance(result, Hold):
            seen.hold, seen.origin = result, origin
        else:
            seen.answered(result.deliveries, "retry")
        seen.pipe = pipe
        self.turns.end()

    @rule(session=sessions)
    def connection_is_cut(self, session: ServerSession) -> None:
        seen = self.seen[session]
        if seen.hold is not None and seen.origin is not None:
            self.connect.cancel(session, seen.hold, seen.origin)
        if seen.pipe is not None:
            seen.take()
            self.lifecycle.detach(session, seen.pipe)
        seen.pipe = seen.hold = None

    @rule(session=sessions, writable=st.booleans())
    def socket_stalls_or_drains(self, session: ServerSession, writable: bool) -> None:
        pipe = self.seen[session].pipe
        if pipe is not None:
            pipe.takes_more = writable
            if writable:
                waiting, pipe.waiting = pipe.waiting, []
                for waiter in waiting:
                    self.core.flush.mark(waiter)
        self.turns.end()

    @rule(session=sessions, name=st.sampled_from(CHANNELS))
    def subscribes(self, session: ServerSession, name: str) -> None:
        if session.is_open:
            self.core.channels.subscribe(session, self.core.grammar.parse(name))

    @rule(session=sessions, name=st.sampled_from(CHANNELS))
    def unsubscribes(self, session: ServerSession, name: str) -> None:
        self.lifecycle.unsubscribe(session, name)

    @rule(name=st.sampled_from(CHANNELS), turn_ends=st.booleans())
    def somebody_publishes(self, name: str, turn_ends: bool) -> None:
        self.published += 1
        data = b"%d" % self.published
        for session in self.registry:
            if name in session.subscriptions:
                self.seen[session].owed.append(data)
        self.fanout.on_publication(Publication(self.core.grammar.parse(name), data))
        if turn_ends:
            self.turns.end()

    @rule(gone=consumes(sessions))
    def disconnects(self, gone: ServerSession) -> None:
        self.turns.end()
        self.lifecycle.end(gone, Event.DISCONNECT, "disconnect")

    @rule(target=sessions, session=consumes(sessions))
    def is_kicked(self, session: ServerSession) -> ServerSession:
        self.turns.end()
        self.lifecycle.disconnect(session, "kicked")
        return session

    @rule(seconds=st.sampled_from([1.0, 4.9, 20.0, 45.0]))
    def time_passes(self, seconds: float) -> None:
        self.turns.end()
        self.clock.advance(seconds)
        self.turns.end()

    @rule()
    def channels_are_swept(self) -> None:
        self.core.channels.sweep()

    # ---- what must be so

    @invariant()
    def nothing_is_lost_repeated_or_out_of_order(self) -> None:
        for session, seen in self.seen.items():
            seen.take()
            assert seen.got == seen.owed[: len(seen.got)]
            if session.is_open:
                waiting = [delivery.data for delivery in session.queue]
                assert seen.got + waiting == seen.owed

    @invariant()
    def nothing_waits_while_there_is_a_way_out(self) -> None:
        for session in self.registry:
            if session.queue and not session.dirty:
                assert session.pipe is None or not session.pipe.writable()
                assert session.pipe is not None or session.held is None

    @invariant()
    def every_open_session_has_an_end_in_sight(self) -> None:
        for session in self.registry:
            if session.state is State.HOLDING:
                assert session.held is not None
                assert session.held.timer.pending
                assert session.held.timer.when_s <= self.clock.now() + HOLD_S
            else:
                assert session.held is None
                assert session.timer is not None
                assert session.timer.pending
                assert session.timer.when_s <= self.clock.now() + MAX_INTERVAL_S

    @invariant()
    def closed_sessions_hold_nothing(self) -> None:
        listed = set(self.registry)
        for session in self.seen:
            assert (session in listed) == session.is_open
            if not session.is_open:
                assert not session.subscriptions
                assert not session.queue
                assert session.held is None
                assert session.pipe is None
        for channel in self.core.channels:
            assert set(channel.subscribers) <= listed

    def teardown(self) -> None:
        self.turns.end()
        self.clock.advance(HOLD_S)
        self.turns.end()
        self.clock.advance(MAX_INTERVAL_S)
        assert len(self.registry) == 0
        self.core.channels.sweep()
        assert len(self.core.channels) == 0


TestSessionTable = SessionTable.TestCase
TestSessionTable.settings = settings(max_examples=examples(100), stateful_step_count=40)

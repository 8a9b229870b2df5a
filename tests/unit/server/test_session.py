import pytest

from bayeux_server.errors import LocalError
from bayeux_server.protocol.session_state import Event, State
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.limits import Limits
from bayeux_server.server.session import Hold, ServerSession
from bayeux_server.server.timers import Timer
from tests.support.core import FakePipe, Turns, make_core, make_delivery
from tests.support.manual_clock import ManualClock


class _Answers:
    def __init__(self) -> None:
        self.given: list[tuple[list[Delivery], str]] = []

    def hold(self, *, takes_events: bool = True) -> Hold:
        return Hold(
            lambda deliveries, reconnect: self.given.append((deliveries, reconnect)),
            takes_events=takes_events,
            timer=Timer(0, lambda: None),
        )


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def session(turns: Turns) -> ServerSession:
    return _session(turns, Limits())


def _session(turns: Turns, limits: Limits) -> ServerSession:
    session = ServerSession(make_core(ManualClock(), turns).flush, limits, address="", transport="websocket")
    session.happened(Event.HANDSHAKE)
    return session


class TestIdentity:
    def test_id_is_long_and_its_short_form_is_not(self, session: ServerSession) -> None:
        assert len(session.id) * 4 >= 128
        assert session.id not in repr(session)
        assert session.short_id in repr(session)

    def test_impossible_event_is_our_mistake(self, session: ServerSession) -> None:
        with pytest.raises(LocalError):
            session.happened(Event.RELEASE)


class TestDelivering:
    def test_joins_a_turn_s_events_into_one_push(self, session: ServerSession, turns: Turns) -> None:
        session.pipe = pipe = FakePipe()
        events = [make_delivery("/a"), make_delivery("/b")]
        for event in events:
            session.deliver(event)
        assert pipe.pushed == []
        turns.end()
        assert pipe.pushed == events
        assert session.queue == []

    def test_waits_for_a_pipe_that_takes_no_more(self, session: ServerSession, turns: Turns) -> None:
        session.pipe = pipe = FakePipe()
        pipe.takes_more = False
        session.deliver(make_delivery("/a"))
        turns.end()
        assert len(session.queue) == 1
        assert pipe.waiting == [session]

    def test_answers_a_held_connect_with_what_came(self, session: ServerSession, turns: Turns) -> None:
        answers, event = _Answers(), make_delivery("/a")
        session.hold(answers.hold())
        session.deliver(event)
        turns.end()
        assert answers.given == [([event], "retry")]
        assert session.state is State.WAITING

    def test_lazy_event_waits_for_company(self, session: ServerSession, turns: Turns) -> None:
        session.pipe = pipe = FakePipe()
        lazy, prompt = make_delivery("/a", lazy=True), make_delivery("/b")
        session.deliver(lazy)
        turns.end()
        assert pipe.pushed == []
        session.deliver(prompt)
        turns.end()
        assert pipe.pushed == [lazy, prompt]

    def test_only_connects_carry_events_where_that_was_asked_for(self, session: ServerSession, turns: Turns) -> None:
        session.meta_connect_delivery_only = True
        session.pipe = pipe = FakePipe()
        answers, event = _Answers(), make_delivery("/a")
        session.deliver(event)
        turns.end()
        assert pipe.pushed == []
        session.hold(answers.hold(takes_events=False))
        turns.end()
        assert answers.given == [([event], "retry")]

    def test_dequeue_listeners_see_what_leaves(self, session: ServerSession) -> None:
        seen: list[list[Delivery]] = []
        session.dequeue_listeners = (seen.append,)
        event = make_delivery("/a")
        session.deliver(event)
        assert session.take() == [event]
        assert seen == [[event]]

    def test_what_did_not_arrive_goes_back_to_the_front(self, session: ServerSession) -> None:
        first, second = make_delivery("/a"), make_delivery("/b")
        session.deliver(second)
        session.requeue([first])
        assert session.queue == [first, second]
        session.happened(Event.DISCONNECT)
        session.requeue([first])
        assert session.queue == [first, second]


class TestHolding:
    def test_newer_connect_releases_the_older_without_events(self, session: ServerSession) -> None:
        older, newer = _Answers(), _Answers()
        session.hold(older.hold())
        session.deliver(make_delivery("/a"))
        session.hold(newer.hold())
        assert older.given == [([], "retry")]
        assert newer.given == []
        assert session.state is State.HOLDING

    def test_cancelled_hold_takes_nothing(self, session: ServerSession, turns: Turns) -> None:
        answers = _Answers()
        hold = answers.hold()
        session.hold(hold)
        assert session.cancel_hold(hold)
        assert not session.cancel_hold(hold)
        session.deliver(make_delivery("/a"))
        turns.end()
        assert answers.given == []
        assert len(session.queue) == 1

    def test_release_without_a_hold_does_nothing(self, session: ServerSession) -> None:
        session.release()
        assert session.state is State.WAITING


class TestBounds:
    @pytest.mark.parametrize("limits", [Limits(max_queue_messages=2), Limits(max_queue_bytes=60)])
    def test_full_queue_is_told_once_it_waits(self, turns: Turns, limits: Limits) -> None:
        session, told = _session(turns, limits), []
        session.on_overflow(lambda _session, dropped: told.append(dropped))
        for _ in range(3):
            session.deliver(make_delivery("/a"))
        assert told == []
        turns.end()
        assert told == [0]

    def test_what_leaves_at_once_is_never_too_much(self, turns: Turns) -> None:
        session, told = _session(turns, Limits(max_queue_messages=1)), []
        session.on_overflow(lambda _session, dropped: told.append(dropped))
        session.pipe = FakePipe()
        for _ in range(3):
            session.deliver(make_delivery("/a"))
        turns.end()
        assert told == []

    @pytest.mark.parametrize(
        "limits", [Limits(max_queue_messages=2, drop_oldest=True), Limits(max_queue_bytes=55, drop_oldest=True)]
    )
    def test_oldest_may_be_dropped(self, turns: Turns, limits: Limits) -> None:
        session, told = _session(turns, limits), []
        session.on_overflow(lambda _session, dropped: told.append(dropped))
        events = [make_delivery("/a", b"%d" % number) for number in range(4)]
        for event in events:
            session.deliver(event)
        turns.end()
        assert session.queue == events[2:]
        assert (session.dropped, told) == (2, [2])
        assert session.queued_bytes == sum(event.size_bytes for event in events[2:])

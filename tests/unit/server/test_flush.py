from itertools import chain

import pytest
from structlog.testing import capture_logs

from bayeux_server.server.delivery import Delivery
from bayeux_server.server.flush import Flush
from bayeux_server.server.limits import Limits
from bayeux_server.server.observer import Observer
from bayeux_server.server.pipe import Outlet
from bayeux_server.server.session import ServerSession
from tests.support.core import FakePipe, Turns, make_delivery


class _Item:
    def __init__(self, *, fails: bool = False) -> None:
        self.dirty = False
        self.flushed = 0
        self._fails = fails

    def flush(self) -> None:
        self.flushed += 1
        if self._fails:
            raise RuntimeError


class TestFlush:
    def setup_method(self) -> None:
        self.turns = Turns()
        self.flush = Flush(self.turns.call_soon, Observer())

    def test_flushes_once_a_turn_however_often_marked(self) -> None:
        item = _Item()
        for _ in range(3):
            self.flush.mark(item)
        assert item.flushed == 0
        self.turns.end()
        assert item.flushed == 1
        self.flush.mark(item)
        self.turns.end()
        assert item.flushed == 2

    def test_one_that_raises_stops_no_other(self) -> None:
        bad, good = _Item(fails=True), _Item()
        self.flush.mark(bad)
        self.flush.mark(good)
        with capture_logs() as entries:
            self.turns.end()
        assert good.flushed == 1
        assert [entry["event"] for entry in entries] == ["flush.failed"]

    def test_rests_once_what_was_due_is_written(self) -> None:
        order: list[str] = []
        item = _Item()
        flush = Flush(self.turns.call_soon, Observer(), lambda: order.append(f"rest after {item.flushed}"))
        flush.mark(item)
        self.turns.end()
        assert order == ["rest after 1"]

    def test_does_not_rest_before_output_that_was_found_meanwhile(self) -> None:
        order: list[str] = []
        first, second = _Item(), _Item()
        flush = Flush(self.turns.call_soon, Observer(), lambda: order.append(f"rest after {second.flushed}"))
        flush.mark(first)
        self.turns.call_soon(lambda: flush.mark(second))
        self.turns.end()
        assert order == ["rest after 1"]


class _Socket(FakePipe):
    """A pipe whose writes are kept as they were made."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.outlet = Outlet(_data, self.written.append, lambda: not self.takes_more)

    def push(self, deliveries: list[Delivery]) -> None:
        super().push(deliveries)
        self.written.append(b"pushed " + b"".join(delivery.data for delivery in deliveries))


def _data(event: bytes) -> bytes:
    return event.rpartition(b":")[2][:-1]


class TestNews:
    """Events that are written past the queues."""

    def setup_method(self) -> None:
        self.turns = Turns()
        self.observer = Observer()
        self.flush = Flush(self.turns.call_soon, self.observer)
        self.sockets = [_Socket(), _Socket()]
        self.sessions = tuple(self._session(socket) for socket in self.sockets)

    def _session(self, socket: _Socket) -> ServerSession:
        session = ServerSession(self.flush, Limits(), address="", transport="websocket")
        session.pipe = socket
        return session

    def _announce(self, *data: bytes) -> None:
        for each in data:
            self.flush.announce(make_delivery("/a", each), self.sessions)

    def test_a_turns_events_for_one_audience_are_one_write_for_each(self) -> None:
        self._announce(b"1", b"2")
        assert [socket.written for socket in self.sockets] == [[], []]
        self.turns.end()
        assert [socket.written for socket in self.sockets] == [[b"12"], [b"12"]]
        assert self.observer.sent_bytes == 4

    def test_events_for_several_audiences_are_joined_for_who_is_in_both(self) -> None:
        self._announce(b"1")
        self.flush.announce(make_delivery("/b", b"2"), self.sessions[:1])
        self.turns.end()
        assert [socket.written for socket in self.sockets] == [[b"pushed 12"], [b"pushed 1"]]

    def test_what_waited_before_goes_first(self) -> None:
        self.sessions[0].deliver(make_delivery("/b", b"0"))
        self._announce(b"1")
        self.turns.end()
        assert [socket.written for socket in self.sockets] == [[b"pushed 01"], [b"1"]]

    def test_what_comes_for_one_of_them_later_goes_behind(self) -> None:
        self._announce(b"1")
        self.sessions[0].deliver(make_delivery("/b", b"2"))
        self.turns.end()
        assert self.sockets[0].written == [b"pushed 12"]
        assert self.sockets[1].written == [b"pushed 1"]

    def test_who_looks_into_a_queue_finds_them_there(self) -> None:
        self._announce(b"1")
        assert [delivery.data for delivery in self.sessions[0].queue] == [b"1"]
        self.turns.end()
        assert self.sockets[0].written == [b"pushed 1"]

    @pytest.mark.parametrize("hindrance", ["shut", "gone", "connects only", "listener"])
    def test_they_are_queued_where_they_may_not_go_straight(self, hindrance: str) -> None:
        session, socket = self.sessions[0], self.sockets[0]
        taken: list[list[Delivery]] = []
        if hindrance == "shut":
            socket.takes_more = False
        elif hindrance == "gone":
            session.pipe = None
        elif hindrance == "connects only":
            session.meta_connect_delivery_only = True
        else:
            session.dequeue_listeners = (taken.append,)
        self._announce(b"1")
        self.turns.end()
        assert b"1" not in socket.written
        assert [delivery.data for delivery in [*session.queue, *chain.from_iterable(taken)]] == [b"1"]
        assert self.sockets[1].written == [b"1"]

    def test_a_write_that_fails_stops_no_other(self) -> None:
        def fail(_: bytes) -> None:
            raise OSError

        self.sockets[0].outlet = Outlet(_data, fail, lambda: False)
        self.sessions[0].pipe = self.sockets[0]
        self._announce(b"1")
        with capture_logs() as entries:
            self.turns.end()
        assert self.sockets[1].written == [b"1"]
        assert [entry["event"] for entry in entries] == ["flush.failed"]

"""Opens (or reopens) many sessions: so many at a time, or so many a second."""

import time
from collections.abc import Callable, Sequence

from clients.load.fleet import Fleet
from clients.load.latency import CELL_BITS, Row
from clients.load.session import Session

# A session that is not ready by then has failed.
PATIENCE_S = 30.0


class Opening:
    """Begins sessions and times each until it is ready.

    At a ``rate`` the time of a session runs from its scheduled moment; without one, from the moment it was begun.

    Attributes:
        row: Sessions by how long they took, in latency cells.
    """

    def __init__(
        self, fleet: Fleet, sessions: Sequence[Session], begin: Callable[[Session], None], *, then: Callable[[], None]
    ) -> None:
        self.row: Row = {}
        self._fleet, self._sessions, self._begin, self._then = fleet, sessions, begin, then
        self._next = self._done = 0
        self._origin_us = self._interval_us = 0.0

    def start(self, *, concurrency: int, rate: float = 0.0) -> None:
        """Begin up to ``concurrency`` sessions now, or ``rate`` a second however many are under way."""
        if not self._sessions:
            self._fleet.reactor.call_later(0, self._then)
            return
        self._origin_us = self._fleet.recorder.now_us()
        if rate > 0:
            self._interval_us = 1e6 / rate
            self._begin_due()
        else:
            for _ in range(min(concurrency, len(self._sessions))):
                self._begin_next(self._fleet.recorder.now_us())

    def _begin_due(self) -> None:
        while self._next < len(self._sessions):
            due_us = self._origin_us + self._next * self._interval_us
            if due_us > self._fleet.recorder.now_us():
                self._fleet.reactor.call_later((due_us - self._fleet.recorder.now_us()) / 1e6, self._begin_due)
                return
            self._begin_next(round(due_us))

    def _begin_next(self, due_us: int) -> None:
        session = self._sessions[self._next]
        self._next += 1
        is_counted = False

        def finished(*, ready: bool) -> None:
            nonlocal is_counted
            if not is_counted:
                is_counted = True
                self._finished(due_us, ready=ready)

        def give_up() -> None:
            if not is_counted:
                session.over(f"not ready within {PATIENCE_S:.0f} s")

        session.on_ready = lambda: finished(ready=True)
        session.on_failed = lambda: finished(ready=False)
        self._fleet.reactor.call_at(time.monotonic_ns() + round(PATIENCE_S * 1e9), give_up)
        self._begin(session)

    def _finished(self, due_us: int, *, ready: bool) -> None:
        if ready:
            cell = (self._fleet.recorder.now_us() - due_us) >> CELL_BITS
            self.row[cell] = self.row.get(cell, 0) + 1
        self._done += 1
        if self._done == len(self._sessions):
            self._then()
        elif not self._interval_us and self._next < len(self._sessions):
            # Not from inside the reply that ended the last one: its transport may not have finished with it.
            self._fleet.reactor.call_later(0, self._begin_waiting)

    def _begin_waiting(self) -> None:
        if self._next < len(self._sessions):
            self._begin_next(self._fleet.recorder.now_us())

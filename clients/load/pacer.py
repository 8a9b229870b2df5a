"""Publishes in open loop: each message leaves at its scheduled time, whatever became of those before it."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from clients.load.fleet import Fleet
from clients.load.latency import CELL_BITS
from clients.load.session import Session

# When it is behind, it lets the sockets have their turn after so many batches.
BATCHES_AT_ONCE = 64


class Pacer:
    """Sends ``batch`` publishes at a time, taking the publishers in turn and each one's streams in turn.

    Attributes:
        lag: Batches by how late they left, in latency cells.
        sent: Publishes sent.
        unsent: Publishes due whose session was gone.
        late: Publishes that were due but not sent when the time was over.
        acts: What else was done, by how often.
    """

    def __init__(self, fleet: Fleet, sessions: Sequence[Session], batch: int) -> None:
        self.lag: dict[int, int] = defaultdict(int)
        self.sent = self.unsent = self.late = 0
        self.acts: Counter[str] = Counter()
        self._fleet, self._batch = fleet, batch
        self._turns = itertools.cycle(sessions)
        self._streams = {id(session): itertools.cycle(session.member.publishes) for session in sessions}
        self._number = 0
        self._start_us = self._end_us = 0
        self._interval_us = 1.0
        self._then: Callable[[], None] = lambda: None

    def start(self, start_us: int, end_us: int, rate: float, then: Callable[[], None]) -> None:
        """Publish ``rate`` messages a second between two times (microseconds after the origin), then call ``then``."""
        self._start_us, self._end_us, self._then = start_us, end_us, then
        self._interval_us = self._batch * 1e6 / rate
        self._wait_until(start_us)

    def _wait_until(self, due_us: float) -> None:
        self._fleet.reactor.call_at(round((due_us + self._fleet.recorder.origin_us) * 1000), self._tick)

    def _tick(self) -> None:
        recorder = self._fleet.recorder
        for _ in range(BATCHES_AT_ONCE):
            due_us = self._start_us + self._number * self._interval_us
            now_us = recorder.now_us()
            if due_us >= self._end_us or now_us >= self._end_us:
                self._finish(due_us)
                return
            if due_us > now_us:
                self._wait_until(due_us)
                return
            self._send(int(due_us), now_us)
        self._wait_until(recorder.now_us())

    def act(self, session: Session, due_us: int) -> None:
        """Publish the next batch of ``session``, due at ``due_us`` after the origin."""
        streams = self._streams[id(session)]
        session.publish([next(streams).message(due_us) for _ in range(self._batch)])
        self.sent += self._batch

    def _send(self, due_us: int, now_us: int) -> None:
        self._number += 1
        session = next(self._turns)
        if session.is_over:
            self.unsent += self._batch
            return
        self.act(session, due_us)
        self.lag[(now_us - due_us) >> CELL_BITS] += 1

    def _finish(self, due_us: float) -> None:
        self.late = max(0, int((self._end_us - due_us) // self._interval_us)) * self._batch
        self._then()

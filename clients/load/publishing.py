"""A run in one process: publish for a time, count by the second, wait for the rest, close the books."""

import math
from collections.abc import Callable, Mapping, Sequence

from clients.load.care_day import CareDay
from clients.load.fleet import Fleet
from clients.load.latency import Row, quick_percentiles_ms
from clients.load.ledger import Count
from clients.load.orders import Progress, Publish, Report, Result
from clients.load.pacer import Pacer
from clients.load.plan import Plan, Scenario
from clients.load.session import Session
from clients.load.usage import Usage

LOOK_AGAIN_S = 0.05


class Publishing:
    """One :class:`Publish` order and the :class:`Settle` that follows it.

    Args:
        sessions: All sessions of this process.
        share: Which part of the publishing falls to this process, 0 to 1.
        say: Sends a report to the conductor.
    """

    def __init__(
        self, fleet: Fleet, plan: Plan, sessions: Sequence[Session], share: float, say: Callable[[Report], None]
    ) -> None:
        self._fleet, self._plan, self._sessions, self._share, self._say = fleet, plan, sessions, share, say
        publishers = [session for session in sessions if session.member.publishes]
        if plan.scenario is Scenario.CARE_DAY:
            self.pacer: Pacer = CareDay(fleet, publishers, plan.seed)
        else:
            self.pacer = Pacer(fleet, publishers, plan.batch)
        self._usage = Usage(fleet.reactor)
        self._cpu_s = self._busy_share = 0.0
        self._waiting: list[Session] = []

    def start(self, order: Publish, then: Callable[[], None]) -> None:
        """Publish as ``order`` says and call ``then`` when the last message is out."""
        for session in self._sessions:
            if session.member.slow_bytes_per_s is not None and not session.is_over:
                session.read_slowly()
        recorder = self._fleet.recorder
        recorder.rows.clear()
        measured_us = order.start_us + round(self._plan.warm_up_s * 1e6)
        end_us = measured_us + round(self._plan.duration_s * 1e6)
        for second in range(1, math.ceil(self._plan.warm_up_s)):
            self._at(order.start_us + second * 1_000_000, lambda: self._turn(keep=False))
        self._at(measured_us, self._measure)
        for second in range(1, int(self._plan.duration_s)):
            self._at(measured_us + second * 1_000_000, lambda: self._turn(keep=True))
        self._at(end_us, self._end)
        if self._share:
            self.pacer.start(order.start_us, end_us, order.rate * self._share, then)
        else:
            self._at(end_us, then)

    def settle(self, sent: Mapping[int, int]) -> None:
        """Wait for what is on its way, at most the plan's drain time, and report the result."""
        self._waiting = [
            session for session in self._sessions if session.is_ready and session.member.slow_bytes_per_s is None
        ]
        give_up_us = self._fleet.recorder.now_us() + round(self._plan.drain_s * 1e6)
        self._look(sent, give_up_us)

    def _at(self, when_us: int, callback: Callable[[], None]) -> None:
        self._fleet.reactor.call_at((when_us + self._fleet.recorder.origin_us) * 1000, callback)

    def _measure(self) -> None:
        self._fleet.recorder.turn(keep=False)
        self._usage = Usage(self._fleet.reactor)

    def _turn(self, *, keep: bool) -> None:
        row = self._fleet.recorder.turn(keep=keep)
        p50_ms, p99_ms = quick_percentiles_ms(row, (0.5, 0.99))
        tally = self._fleet.tally
        self._say(Progress(tally.ready, tally.failed.total(), sum(row.values()), p50_ms, p99_ms))

    def _end(self) -> None:
        self._cpu_s, self._busy_share = self._usage.cpu_s, self._usage.busy_share
        self._turn(keep=True)

    def _look(self, sent: Mapping[int, int], give_up_us: int) -> None:
        while self._waiting and (self._waiting[-1].is_over or self._waiting[-1].ledger.is_complete(sent)):
            self._waiting.pop()
        if self._waiting and self._fleet.recorder.now_us() < give_up_us:
            self._fleet.reactor.call_later(LOOK_AGAIN_S, lambda: self._look(sent, give_up_us))
        else:
            self._say(self._result(sent))

    def _result(self, sent: Mapping[int, int]) -> Result:
        count, slow_count, slow_dropped = Count(), Count(), 0
        for session in self._sessions:
            if not session.is_ready:
                continue  # it never came to subscribe: nothing was owed to it
            slow = session.member.slow_bytes_per_s is not None
            (slow_count if slow else count).add(session.ledger.settle(sent))
            slow_dropped += slow and session.is_over
        recorder, pacer, sieve = self._fleet.recorder, self.pacer, self._fleet.sieve
        drain: Row = recorder.turn(keep=False)
        return Result(
            rows=list(recorder.rows),
            drain=drain,
            lag=dict(pacer.lag),
            sent=pacer.sent,
            unsent=pacer.unsent,
            late=pacer.late,
            count=count,
            slow_count=slow_count,
            slow_dropped=slow_dropped,
            tally=self._fleet.tally,
            malformed=sieve.malformed,
            foreign=sieve.foreign,
            cpu_s=self._cpu_s,
            busy_share=self._busy_share,
            acts=dict(pacer.acts),
        )

"""One measured run: quiet enough, or thrown away and repeated."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

from benchmarks.rows import MAX_P99_MS
from benchmarks.servers import Running, Server, running
from clients.load.errors import HarnessError
from clients.load.limit import Bounds
from clients.load.machine import Snapshot
from clients.load.orders import Progress
from clients.load.plan import Plan, Scenario
from clients.load.report import Report
from clients.load.runner import find_limit, run
from clients.load.verdict import MAX_OTHER_CORES

# A first few let a server allocate what it needs once, whatever the number of sessions.
FIRST_SESSIONS = 200
SETTLE_S = 5


@dataclass(frozen=True, slots=True)
class Measure:
    """What one run gave.

    Attributes:
        per_cpu_s: Deliveries (or sessions) per CPU second of the server.
        per_s: Per second.
        asked_per_s: The rate that was due; 0 where there was none.
        server_cores: CPU seconds per second that the server used.
        other_cores: What other processes used meanwhile.
        harness_us: CPU the harness spent on each.
        limit_per_s: The highest rate held, where that was sought.
        is_harness_limit: Whether it was the harness that could not go beyond.
        kib_per_session: Where the sessions were idle.
        flaws: Why the figures are not to be trusted; empty if they are.
    """

    per_cpu_s: float = 0.0
    per_s: float = 0.0
    asked_per_s: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    lost: int = 0
    server_cores: float = 0.0
    other_cores: float = 0.0
    harness_us: float = 0.0
    limit_per_s: float = 0.0
    is_harness_limit: bool = False
    kib_per_session: float = 0.0
    flaws: tuple[str, ...] = ()

    @property
    def is_overloaded(self) -> bool:
        """Whether the server did not keep up with the rate, so that its figures are those of another load."""
        return bool(self.asked_per_s) and self.per_s < 0.97 * self.asked_per_s


def measure(target: Running, plan: Plan, *, repeats: int) -> Measure:
    """Run ``plan``; while other processes disturb it, throw the run away and repeat it up to ``repeats`` times.

    A storm has no warm-up of its own: storms are run and thrown away for that time, one at least.

    Raises:
        HarnessError: If the run cannot be done at all.
    """
    if plan.scenario is Scenario.HANDSHAKE_STORM:
        _storm_until_warm(target, plan)
    return _undisturbed(lambda: _once(target, plan), repeats)


def measure_limit(target: Running, plan: Plan, *, repeats: int) -> Measure:
    """Search the highest rate that the server holds, from the plan's on; disturbed searches are repeated.

    Raises:
        HarnessError: If a run cannot be done at all.
    """

    def search() -> Measure:
        report = find_limit(plan, silent, Bounds(p99_ms=MAX_P99_MS), lambda _step: None, target.pid)
        limit_per_s = report.limit_per_s or 0.0
        return replace(_measure_of(report), limit_per_s=limit_per_s, is_harness_limit=report.is_harness_limit)

    return _undisturbed(search, repeats)


def measure_idle(server: Server, plan: Plan, *, repeats: int) -> Measure:
    """Return what each of the plan's sessions adds to the memory of a freshly started server.

    Raises:
        HarnessError: If the run cannot be done at all.
        ServerError: If the server does not start.
    """

    def hold() -> Measure:
        with running(server) as target:
            few = replace(plan, url=target.url, clients=FIRST_SESSIONS, duration_s=1)
            run(few, silent, target.pid)
            report = run(replace(plan, url=target.url, duration_s=SETTLE_S), silent, target.pid)
        use = report.server
        kib = use.kib_per_session(report.sessions.ready) if use else 0.0
        return Measure(kib_per_session=kib, flaws=tuple(report.reasons))

    return _undisturbed(hold, repeats)


def median(measures: Sequence[Measure]) -> Measure:
    """Return the median of each figure, over the undisturbed runs where there are any."""
    good = [measure for measure in measures if not measure.flaws] or list(measures)
    figures = {
        field.name: statistics.median_low([getattr(measure, field.name) for measure in good])
        for field in fields(Measure)
        if field.name != "flaws"
    }
    return replace(good[0], **figures)


def _undisturbed(once: Callable[[], Measure], repeats: int) -> Measure:
    found = once()
    while repeats > 0 and found.other_cores > MAX_OTHER_CORES:
        repeats -= 1
        found = once()
    return found


def _once(target: Running, plan: Plan) -> Measure:
    return _measure_of(run(plan, silent, target.pid))


def _measure_of(report: Report) -> Measure:
    server = report.server
    if server is None:
        raise HarnessError("the server's process was not measured")
    return Measure(
        per_cpu_s=server.work_per_cpu_s,
        per_s=report.per_s,
        asked_per_s=report.asked_per_s,
        p50_ms=report.latency_ms["p50"],
        p99_ms=report.latency_ms["p99"],
        lost=report.count.lost,
        server_cores=server.cores,
        other_cores=report.harness.other_cores or 0.0,
        harness_us=report.harness.cpu_us_per_work,
        flaws=tuple(_flaws(report)),
    )


def _storm_until_warm(target: Running, plan: Plan) -> None:
    warm_s = time.monotonic() + plan.warm_up_s
    run(plan, silent, target.pid)
    while time.monotonic() < warm_s:
        run(plan, silent, target.pid)


def _flaws(report: Report) -> list[str]:
    flaws = list(report.reasons)
    if (report.harness.other_cores or 0.0) > MAX_OTHER_CORES:
        flaws.append(f"other processes used {report.harness.other_cores:.2f} cores")
    if report.count.lost or report.count.duplicated or report.count.out_of_order:
        count = report.count
        flaws.append(f"{count.lost} lost, {count.duplicated} doubled, {count.out_of_order} out of order")
    return flaws


def silent(_phase: str, _progress: Sequence[Progress], _snapshot: Snapshot) -> None:
    """Watch a run without a word."""

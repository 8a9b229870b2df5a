"""One measured run: quiet enough, or thrown away and repeated."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.servers import Running
from clients.load.errors import HarnessError
from clients.load.machine import Snapshot
from clients.load.orders import Progress
from clients.load.plan import Plan, Scenario
from clients.load.report import Report
from clients.load.runner import run
from clients.load.verdict import MAX_OTHER_CORES


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
        flaws: Why the figures are not to be trusted; empty if they are.
    """

    per_cpu_s: float
    per_s: float
    asked_per_s: float
    p50_ms: float
    p99_ms: float
    lost: int
    server_cores: float
    other_cores: float
    harness_us: float
    flaws: tuple[str, ...] = ()

    @property
    def is_overloaded(self) -> bool:
        """Whether the server did not keep up with the rate, so that its figures are those of another load."""
        return bool(self.asked_per_s) and self.per_s < 0.97 * self.asked_per_s


def measure(running: Running, plan: Plan, *, repeats: int) -> Measure:
    """Run ``plan``; while other processes disturb it, throw the run away and repeat it up to ``repeats`` times.

    A storm has no warm-up of its own: storms are run and thrown away for that time, one at least.

    Raises:
        HarnessError: If the run cannot be done at all.
    """
    if plan.scenario is Scenario.HANDSHAKE_STORM:
        _storm_until_warm(running, plan)
    found = _once(running, plan)
    while repeats > 0 and found.other_cores > MAX_OTHER_CORES:
        repeats -= 1
        found = _once(running, plan)
    return found


def median(measures: Sequence[Measure]) -> Measure:
    """Return the run in the middle by efficiency, of the undisturbed ones where there are any."""
    good = [measure for measure in measures if not measure.flaws] or list(measures)
    middle = statistics.median_low([measure.per_cpu_s for measure in good])
    return next(measure for measure in good if measure.per_cpu_s == middle)


def _once(running: Running, plan: Plan) -> Measure:
    report = run(plan, _silent, running.pid)
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


def _storm_until_warm(running: Running, plan: Plan) -> None:
    warm_s = time.monotonic() + plan.warm_up_s
    run(plan, _silent, running.pid)
    while time.monotonic() < warm_s:
        run(plan, _silent, running.pid)


def _flaws(report: Report) -> list[str]:
    flaws = list(report.reasons)
    if (report.harness.other_cores or 0.0) > MAX_OTHER_CORES:
        flaws.append(f"other processes used {report.harness.other_cores:.2f} cores")
    if report.count.lost or report.count.duplicated or report.count.out_of_order:
        count = report.count
        flaws.append(f"{count.lost} lost, {count.duplicated} doubled, {count.out_of_order} out of order")
    return flaws


def _silent(_phase: str, _progress: Sequence[Progress], _snapshot: Snapshot) -> None:
    return None

"""One measured time: what was delivered, how late, and what it cost the server."""

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.care.stage import Stage
from clients.load.latency import Row, histogram, percentiles_ms
from clients.load.machine import Snapshot, Use
from clients.load.orders import Publish, Report, Result
from clients.load.pacer import Pacer
from clients.load.plan import Plan, Scenario
from clients.load.publishing import Publishing
from clients.load.verdict import MAX_BUSY_SHARE, MAX_LAG_P99_MS, MAX_OTHER_CORES, MIN_SENT_SHARE

_HEAD_START_S = 0.1
_DRAIN_S = 3.0


class Phase(NamedTuple):
    """What one phase gave.

    Attributes:
        deliveries: In the measured time.
        cpu_s: Of the server.
        other_cores: What other processes used meanwhile.
        rows: Latencies of each second, by cell.
        flaws: Why the figures are not to be trusted; empty if they are.
    """

    deliveries: int
    wall_s: float
    cpu_s: float
    other_cores: float
    rows: list[Row]
    flaws: tuple[str, ...]

    @property
    def is_disturbed(self) -> bool:
        """Whether other processes used so much of the machine that it shows."""
        return self.other_cores > MAX_OTHER_CORES


def measure(
    stage: Stage, load: Callable[[], Pacer | None], rate: float, *, warm_up_s: float, duration_s: int, repeats: int
) -> Phase:
    """Let a pacer of ``load``, or nobody, act ``rate`` times a second; return what came of it after the warm-up.

    While other processes disturb it, it is repeated up to ``repeats`` times.
    """
    found = _once(stage, load(), rate, warm_up_s, duration_s)
    while found.is_disturbed and repeats > 0:
        repeats -= 1
        found = _once(stage, load(), rate, warm_up_s, duration_s)
    return found


def _once(stage: Stage, pacer: Pacer | None, rate: float, warm_up_s: float, duration_s: int) -> Phase:
    fleet = stage.fleet
    plan = Plan("", Scenario.FAN_OUT, warm_up_s=warm_up_s, duration_s=duration_s, drain_s=_DRAIN_S)
    reports: list[Report] = []
    publishing = Publishing(fleet, plan, fleet.tabs, 0.0 if pacer is None else 1.0, reports.append)
    publishing.pacer = pacer or publishing.pacer
    snapshots: list[Snapshot] = []
    is_over = False

    def over() -> None:
        nonlocal is_over
        is_over = True

    start_us = fleet.recorder.now_us() + round(_HEAD_START_S * 1e6)
    for at_s in (warm_up_s, warm_up_s + duration_s):
        when_ns = (start_us + fleet.recorder.origin_us) * 1_000 + round(at_s * 1e9)
        fleet.reactor.call_at(when_ns, lambda: snapshots.append(stage.machine.look()))
    publishing.start(Publish(start_us, rate), over)
    fleet.reactor.run_while(lambda: not is_over or len(snapshots) < 2 or stage.requests.under_way > 0)
    publishing.settle(stage.sent())
    fleet.reactor.run_while(lambda: not isinstance(reports[-1], Result))
    result = next(report for report in reports if isinstance(report, Result))
    planned = 0 if pacer is None else round(rate * (warm_up_s + duration_s))
    return _phase(stage, result, Use.between(*snapshots), planned)


def _phase(stage: Stage, result: Result, use: Use, planned: int) -> Phase:
    deliveries = sum(sum(row.values()) for row in result.rows)
    flaws = tuple(_flaws(stage, result, use, planned))
    return Phase(deliveries, use.wall_s, use.server_cpu_s, use.other_cores, result.rows, flaws)


def _flaws(stage: Stage, result: Result, use: Use, planned: int) -> list[str]:
    count, refused = result.count, stage.desk.refused
    lag_p99_ms = percentiles_ms(histogram([result.lag]))["p99"]
    found = {
        f"{count.lost} lost": count.lost,
        f"{count.duplicated} doubled": count.duplicated,
        f"{count.out_of_order} out of order": count.out_of_order,
        f"{count.misdelivered} shown to whom they are hidden from": count.misdelivered,
        f"{result.malformed} not as published": result.malformed,
        f"changes refused: {dict(refused)}": refused,
        f"sessions lost: {dict(result.tally.dropped)}": result.tally.dropped,
        f"only {result.sent} of {planned} sent": result.sent < planned * MIN_SENT_SHARE,
        f"sent {lag_p99_ms:.0f} ms late": lag_p99_ms > MAX_LAG_P99_MS,
        f"the harness was busy for {result.busy_share:.0%}": result.busy_share > MAX_BUSY_SHARE,
        f"other processes used {use.other_cores:.2f} cores": use.other_cores > MAX_OTHER_CORES,
    }
    return [flaw for flaw, is_found in found.items() if is_found]

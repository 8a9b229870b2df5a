"""``--find-limit``: the highest rate that a server holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clients.load.report import Report, Step

GROWTH = 1.4
# The search ends when the next step would change the rate by less than this.
PRECISION = 0.05
MAX_STEPS = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """What counts as held: p99 latency in milliseconds, and the share of deliveries that may be lost."""

    p99_ms: float = 500.0
    loss_share: float = 0.0
    min_rate_share: float = 0.97

    def broken_by(self, report: Report) -> str:
        """Return which bound ``report`` breaks, in words; empty if none."""
        lost = loss_share(report)
        if lost > self.loss_share:
            return f"{lost:.2%} lost"
        if report.latency_ms["p99"] > self.p99_ms:
            return f"p99 {report.latency_ms['p99']:.0f} ms"
        if report.per_s < report.asked_per_s * self.min_rate_share:
            return f"{report.per_s:,.0f}/s delivered"
        return ""


def loss_share(report: Report) -> float:
    """Return the share of the expected deliveries that never came, 0 to 1."""
    return report.count.lost / report.count.expected if report.count.expected else 0.0


def step_of(report: Report, why: str) -> Step:
    """Return what ``report`` adds to the search; ``why`` it was not held, or empty."""
    return Step(
        rate=report.asked_per_s,
        deliveries_per_s=report.per_s,
        p50_ms=report.latency_ms["p50"],
        p99_ms=report.latency_ms["p99"],
        loss_share=loss_share(report),
        server_cores=report.server.cores if report.server else 0.0,
        held=not why,
        why=why,
        harness_failed=not report.valid,
    )


def search(first_rate: float, run: Callable[[float], Report], bounds: Bounds) -> Iterator[tuple[Report, Step]]:
    """Yield a run and its step for each rate tried: up by ``GROWTH`` until a bound breaks, then by halves between.

    A run in which the harness was the bottleneck ends the way up as well: the server's limit is not below that rate,
    and the harness cannot say more.
    """
    held, broken, rate = 0.0, 0.0, first_rate
    for _ in range(MAX_STEPS):
        report = run(rate)
        why = "; ".join(report.reasons) or bounds.broken_by(report)
        yield report, step_of(report, why)
        if why:
            broken = rate
        else:
            held = rate
        rate = _next(held, broken)
        if broken and held and (broken - held) / held < PRECISION:
            return
        if broken and rate < first_rate * PRECISION:
            return


def _next(held: float, broken: float) -> float:
    if not broken:
        return held * GROWTH
    return (held + broken) / 2 if held else broken / GROWTH / GROWTH

from clients.load.ledger import Count
from clients.load.limit import Bounds, search
from clients.load.report import Report, Step
from tests.unit.clients.load.reports import report

LATENCY = {"p50": 1.0, "p95": 2.0, "p99": 3.0, "p99_9": 4.0, "max": 5.0}


def server_that_holds(limit: float, **overloaded: object) -> list[Step]:
    def run(rate: float) -> Report:
        return report(**({"asked_per_s": rate, "per_s": rate} | (overloaded if rate > limit else {})))

    return [step for _, step in search(1_000, run, Bounds(p99_ms=100))]


def highest(steps: list[Step]) -> float:
    return max((step.rate for step in steps if step.held), default=0.0)


class TestFindLimit:
    def test_it_comes_within_a_twentieth_of_the_highest_rate_held(self) -> None:
        steps = server_that_holds(7_300, latency_ms=LATENCY | {"p99": 900.0})

        assert 0.95 * 7_300 <= highest(steps) <= 7_300
        assert any(step.why == "p99 900 ms" for step in steps)

    def test_it_goes_down_when_the_first_rate_is_too_much(self) -> None:
        assert 0 < highest(server_that_holds(300, latency_ms=LATENCY | {"p99": 900.0})) <= 300

    def test_it_ends_when_no_rate_is_held(self) -> None:
        steps = server_that_holds(0, latency_ms=LATENCY | {"p99": 900.0})

        assert highest(steps) == 0
        assert len(steps) < 12

    def test_a_loss_is_a_limit(self) -> None:
        steps = server_that_holds(5_000, count=Count(expected=100, received=99, lost=1))

        assert highest(steps) <= 5_000
        assert any(step.why == "1.00% lost" for step in steps)

    def test_less_delivered_than_asked_is_a_limit(self) -> None:
        assert any("delivered" in step.why for step in server_that_holds(2_000, per_s=1_500.0))

    def test_a_harness_at_its_own_limit_ends_the_way_up(self) -> None:
        steps = server_that_holds(4_000, valid=False, reasons=["the harness was the bottleneck"])

        assert highest(steps) <= 4_000
        assert any(step.why == "the harness was the bottleneck" for step in steps)
        assert report(steps=steps, limit_per_s=highest(steps)).is_harness_limit

    def test_a_limit_of_the_server_is_none_of_the_harness(self) -> None:
        steps = server_that_holds(4_000, latency_ms=LATENCY | {"p99": 900.0})

        assert not report(steps=steps, limit_per_s=highest(steps)).is_harness_limit

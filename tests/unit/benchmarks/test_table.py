from dataclasses import replace

from benchmarks.measuring import Measure, median
from benchmarks.rows import ROWS, Row
from benchmarks.servers import BARE_PYTHON, COMETD, FAYE, OURS
from benchmarks.table import Ceilings, cells, markdown

SERVERS = (OURS, FAYE, COMETD, BARE_PYTHON)
RUN = Measure(per_cpu_s=1_000.0, per_s=100.0, asked_per_s=100.0, p50_ms=1.0, p99_ms=10.0)


def row(key: str) -> Row:
    return next(row for row in ROWS if row.key == key)


def line(key: str, *found: Measure, ceilings: Ceilings | None = None) -> dict[str, str]:
    measures = {key: {server.name: [measure] for server, measure in zip(SERVERS, found, strict=False)}}
    head, cell = cells([row(key)], SERVERS, measures, ceilings or {})
    return dict(zip(head, cell, strict=True))


class TestMedian:
    def test_each_figure_is_the_median_of_its_own(self) -> None:
        runs = [
            replace(RUN, per_cpu_s=1.0, p99_ms=30.0),
            replace(RUN, per_cpu_s=2.0, p99_ms=10.0),
            replace(RUN, per_cpu_s=3.0, p99_ms=20.0),
        ]

        assert (median(runs).per_cpu_s, median(runs).p99_ms) == (2.0, 20.0)

    def test_a_flawed_run_counts_only_where_all_are(self) -> None:
        flawed = replace(RUN, per_cpu_s=9.0, flaws=("disturbed",))

        assert median([flawed, RUN, flawed]) == RUN
        assert median([flawed]) == flawed


class TestVersus:
    def test_ours_is_a_multiple_of_the_better_peer_in_efficiency_and_in_p99(self) -> None:
        faye, cometd = replace(RUN, per_cpu_s=400.0, p99_ms=20.0), replace(RUN, per_cpu_s=500.0, p99_ms=40.0)
        bare = replace(RUN, per_cpu_s=2_000.0)
        found = line("fan-out-50k", RUN, faye, cometd, bare, ceilings={"fan-out-50k": 4_000.0})

        assert (found["x"], found["p99 x"]) == ("2.00", "0.50")
        assert (found["of bare Python"], found["of C loop"]) == ("0.50", "0.25")

    def test_a_peer_that_did_not_keep_up_is_not_compared_with(self) -> None:
        overloaded = replace(RUN, per_cpu_s=9_000.0, per_s=96.0)
        found = line("fan-out-50k", RUN, overloaded, replace(RUN, per_cpu_s=500.0))

        assert found[FAYE.name] == "overloaded (96/s)"
        assert found["x"] == "2.00"

    def test_ours_has_no_ratio_where_it_did_not_keep_up(self) -> None:
        assert line("fan-out-50k", replace(RUN, per_s=96.0), RUN)["x"] == ""

    def test_memory_is_a_share_of_the_smaller_peer(self) -> None:
        found = line("idle", *(Measure(kib_per_session=kib) for kib in (10.0, 20.0, 40.0)))

        assert (found["ours"], found["x"]) == ("10.0 KiB", "0.50")

    def test_a_highest_rate_says_where_the_harness_came_to_its_own_limit(self) -> None:
        found = line("limit", replace(RUN, limit_per_s=900.0, server_cores=0.9, is_harness_limit=True))

        assert found["ours"] == "> 900/s on 0.90 cores, 1,000 (1.0, 10.0)"

    def test_a_flawed_figure_is_marked_also_in_markdown(self) -> None:
        flawed = replace(RUN, flaws=("disturbed",))
        text = markdown([row("fan-out-50k")], SERVERS, {"fan-out-50k": {OURS.name: [flawed]}}, {})

        assert "| 1,000\\* (1.0, 10.0) |" in text

    def test_a_row_that_was_not_measured_is_not_shown(self) -> None:
        assert len(cells(ROWS, SERVERS, {}, {})) == 1

from pathlib import Path

import pytest

from clients.load import compare, page, tables
from clients.load import report as reports
from clients.load.plan import Plan, Scenario
from clients.load.report import Step
from tests.unit.clients.load.reports import report


class TestReport:
    def test_what_is_written_is_read_back(self, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        reports.write(report(), path)

        assert reports.read(path) == report()

    def test_a_file_that_is_no_report_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        path.write_text('{"valid":true}')

        with pytest.raises(ValueError, match="no report"):
            reports.read(path)

    def test_the_facts_name_rate_losses_and_latency(self) -> None:
        facts = {name: value for _, group in tables.groups(report()) for name, value in group}

        assert facts["rate"] == "1,000 deliveries/s of 1,000 asked"
        assert facts["lost"] == "0"
        assert facts["dropped"] == "2 x HTTP <503>"


class TestPage:
    def test_the_page_stands_alone_with_its_plots(self) -> None:
        html = page.render(report())

        assert html.count("<svg") == 4
        assert "http" not in html.replace("http://127.0.0.1:1/bayeux", "").replace("http://www.w3.org", "").replace(
            "http://purl.org", ""
        ).replace("https://matplotlib.org", "").replace("http://creativecommons.org", "")

    def test_what_a_server_says_cannot_become_markup(self) -> None:
        assert "HTTP &lt;503&gt;" in page.render(report())

    def test_an_invalid_run_says_so_first(self) -> None:
        html = page.render(report(valid=False, reasons=["the harness was the bottleneck"]))

        assert html.index("not valid") < html.index("<table")

    def test_a_search_is_drawn_by_its_steps(self) -> None:
        steps = [Step(1_000, 1_000, 1, 2, 0, 0.5, held=True), Step(2_000, 1_500, 1, 900, 0, 1, held=False, why="p99")]

        assert "not held" in page.render(report(steps=steps, limit_per_s=1_000.0))


class TestCompare:
    def test_the_second_is_a_multiple_of_the_first(self) -> None:
        rows = {row[0]: row for row in compare.rows(report(), report(per_s=2_000.0))}

        assert rows["deliveries/s"] == ("deliveries/s", "1,000", "2,000", "2.00")

    def test_runs_of_different_loads_are_told_apart(self) -> None:
        other = Plan("http://elsewhere/", Scenario.FAN_OUT, clients=100)

        assert compare.differences(report(), report(plan=other)) == ["clients: 500 and 100"]

    def test_what_only_one_of_them_measured_is_left_out(self) -> None:
        names = {row[0] for row in compare.rows(report(server=None), report(limit_per_s=9.0))}

        assert "p99 ms" in names
        assert not names & {"server cores", "highest rate held"}

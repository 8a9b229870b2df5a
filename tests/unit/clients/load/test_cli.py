from pathlib import Path

from click.testing import CliRunner

from clients.load import report as reports
from clients.load.cli import load
from clients.load.plan import Scenario
from tests.unit.clients.load.reports import report


class TestCommands:
    def test_every_scenario_is_a_command(self) -> None:
        assert {str(scenario) for scenario in Scenario} <= set(load.commands)

    def test_every_command_explains_itself(self) -> None:
        for name in load.commands:
            result = CliRunner().invoke(load, [name, "--help"])
            assert result.exit_code == 0
            assert "Usage" in result.output

    def test_a_url_that_is_none_ends_with_a_word(self) -> None:
        result = CliRunner().invoke(load, ["fan-out", "nonsense"])

        assert result.exit_code == 1
        assert "expected http://" in result.output

    def test_comparing_shows_both_and_where_they_differ(self, tmp_path: Path) -> None:
        paths = [tmp_path / "a.json", tmp_path / "b.json"]
        reports.write(report(), paths[0])
        reports.write(report(valid=False, reasons=["it was busy"]), paths[1])

        result = CliRunner().invoke(load, ["compare", *map(str, paths)])

        assert result.exit_code == 0
        assert "not a valid run: it was busy" in " ".join(result.output.split())

    def test_more_channels_each_than_there_are_is_refused(self) -> None:
        result = CliRunner().invoke(load, ["chat", "http://127.0.0.1:1/", "--channels", "2"])

        assert result.exit_code == 2

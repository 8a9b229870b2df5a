from pathlib import Path

import pytest
from click.testing import CliRunner

from clients.load import report as reports
from clients.load.cli import load
from clients.load.console import command_line
from clients.load.plan import Scenario
from tests.unit.clients.load.reports import report

URL = "http://127.0.0.1:1/bayeux"


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

    @pytest.mark.parametrize(
        ("option", "value", "remedy"),
        [
            ("--handshake-ext", "{token", "this is no JSON"),
            ("--handshake-ext", "[1]", "expected a JSON object"),
            ("--header", "s3cret", "write it as 'Name: value'"),
            ("--header", "Name: one\r\nOther: two", "write it as 'Name: value'"),
            ("--prefix", "load", "expected a channel"),
            ("--prefix", "/meta/load", "not below /meta"),
            ("--json", "/nowhere/report.json", "there is no folder /nowhere"),
            ("--html", "/nowhere/report.html", "there is no folder /nowhere"),
        ],
    )
    def test_a_wrong_option_is_refused_before_anything_is_started(self, option: str, value: str, remedy: str) -> None:
        result = CliRunner().invoke(load, ["fan-out", URL, option, value])

        assert result.exit_code == 2
        assert remedy in result.output
        assert "s3cret" not in result.output

    def test_more_channels_each_than_there_are_is_refused(self) -> None:
        result = CliRunner().invoke(load, ["chat", URL, "--channels", "2"])

        assert result.exit_code == 2

    def test_the_command_is_told_as_it_was_typed_but_for_secrets(self) -> None:
        typed = [URL, "--rate", "60000", "--find-limit", "--header", "Authorization: Bearer s3cret"]
        with load.commands["fan-out"].make_context("fan-out", [*typed, "--handshake-ext", '{"token": 1}']) as context:
            told = command_line(context)

        assert told == f"bayeux load fan-out {URL} --header ... --handshake-ext ... --rate 60000 --find-limit"


class TestCompare:
    def test_comparing_shows_both_and_which_is_not_valid(self, tmp_path: Path) -> None:
        paths = [tmp_path / "a.json", tmp_path / "b.json"]
        reports.write(report(), paths[0])
        reports.write(report(valid=False, reasons=["it was busy"]), paths[1])

        result = CliRunner().invoke(load, ["compare", *map(str, paths)])

        assert result.exit_code == 0
        assert "not a valid run: it was busy" in " ".join(result.output.split())

    def test_a_file_that_is_no_report_is_refused_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text("nothing")

        result = CliRunner().invoke(load, ["compare", str(path), str(path)])

        assert result.exit_code == 1
        assert "no report of a load run" in result.output

"""Commands whose packages are not installed."""

import sys

import pytest
from click.testing import CliRunner

from clients.cli import main


@pytest.fixture(autouse=True)
def without_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what the extra ``bench`` installs impossible to import, and keep the log's settings as they are."""
    monkeypatch.setitem(sys.modules, "clients.load.cli", None)
    monkeypatch.setattr("structlog.configure", lambda **_: None)


class TestMissingPackages:
    def test_help_goes_on_and_says_what_to_install(self) -> None:
        result = CliRunner().invoke(main, ["--help"], terminal_width=100)
        assert result.exit_code == 0
        assert "Not installed: pip install 'bayeux-server[bench]'" in result.output

    @pytest.mark.parametrize("arguments", [["load"], ["load", "fanout", "http://x", "--clients", "5"], ["load", "-h"]])
    def test_a_call_is_refused_with_the_remedy(self, arguments: list[str]) -> None:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1
        assert "pip install 'bayeux-server[bench]'" in result.output

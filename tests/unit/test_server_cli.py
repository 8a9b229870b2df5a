"""The command ``bayeux-server``: what it says when something is wrong."""

import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from bayeux_server import demo, logs, settings
from bayeux_server.cli import main
from tests.support.server import ServerProcess

BARE = "[server]\nport = 0\ndrain_ms = 0\ndemo = false\n"


@pytest.fixture(autouse=True)
def keep_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep commands run in this process from setting up its log: other tests look at what is logged."""
    monkeypatch.setattr(logs, "configure", lambda _settings: None)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A configuration without extensions."""
    path = tmp_path / "bare.toml"
    path.write_text(BARE)
    return path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


class TestMistakes:
    @pytest.mark.parametrize("command", [["serve"], ["config", "check"], ["config", "show"]])
    def test_an_unknown_key_is_named(self, command: list[str]) -> None:
        assert run(*command, "--set", "server.prot=1") == (
            1,
            "Error: unknown key server.prot; conf/default.toml lists all keys\n",
        )

    def test_a_bad_value_is_shown_with_what_is_allowed(self) -> None:
        code, output = run("serve", "--set", "connect.max_interval_ms=5")
        assert (code, output) == (1, "Error: connect.max_interval_ms = 5: expected `int` >= 1000\n")

    def test_a_port_in_use_is_named(self, bare: Path) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            code, output = run("serve", "--config", str(bare), "--port", str(port))
        assert code == 1
        assert f"Error: cannot serve on 127.0.0.1:{port}:" in output
        assert "in use" in output

    @pytest.mark.parametrize("part", ["broker", "history"])
    def test_what_is_out_of_reach_is_named_without_its_address(self, bare: Path, part: str) -> None:
        url = "redis://:s3cr3t@127.0.0.1:1/0"  # nobody listens on port 1
        code, output = run(
            "serve", "--config", str(bare), "--set", f"backend.{part}=redis", "--set", f"backend.redis_url={url}"
        )
        assert code == 1
        assert output.endswith(f"Error: backend.{part} cannot start: ConnectionError\n")
        assert "s3cr3t" not in output

    def test_an_address_beyond_this_machine_is_refused_in_words(self, bare: Path) -> None:
        code, output = run("serve", "--config", str(bare), "--host", "0.0.0.0")
        assert code == 1
        assert "security.allow_development_beyond_loopback" in output

    def test_a_file_that_is_no_toml_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "broken.toml"
        path.write_text("[server")
        code, output = run("config", "check", "--config", str(path))
        assert code == 1
        assert f"{path} is not TOML" in output


class TestShow:
    def test_it_shows_what_is_in_force_but_no_secret(self, bare: Path) -> None:
        secret = "redis://:s3cr3t@redis.example/0"
        code, output = run("config", "show", "--config", str(bare), "--set", f"backend.redis_url={secret}")
        assert code == 0
        assert '"port": 0' in output
        assert "s3cr3t" not in output

    def test_not_even_one_in_a_list_of_tables(self, bare: Path) -> None:
        issuers = 'extensions.authentication.issuers=[{issuer="care",keys=[{pem="s3cr3t"}]}]'
        code, output = run("config", "show", "--config", str(bare), "--set", issuers)
        assert code == 0
        assert '"issuer": "care"' in output
        assert "s3cr3t" not in output


class TestServe:
    def test_it_answers_until_it_is_told_to_stop(self) -> None:
        server = ServerProcess("extensions={}")
        with server:
            server.stop()
            assert not server.running
            told = server.log.read_text()
        assert "Bayeux server is up." in told
        assert "server.stopped" in told
        assert "Traceback" not in told

    async def test_a_second_signal_ends_the_draining_at_once(self) -> None:
        overrides = ("extensions={}", "server.drain_ms=600000")
        with ServerProcess(*overrides) as server:
            async with aiohttp.ClientSession() as http, http.ws_connect(server.url) as held:
                os.kill(server.pid, signal.SIGTERM)
                assert (await held.receive()).type is aiohttp.WSMsgType.CLOSE  # the first slice: it drains
            server.stop()
            assert "server.stopped" in server.log.read_text()  # by itself, long before the ten minutes are over


class TestInstalled:
    """A wheel has no ``conf`` beside the package, and no page."""

    def test_the_defaults_are_found_under_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settings, "__file__", str(tmp_path / "site-packages" / "bayeux_server" / "settings.py"))
        expected = Path(sys.prefix) / "share" / "bayeux-server" / "conf" / "default.toml"
        assert settings.default_path() == expected

    def test_without_the_page_the_server_serves_the_rest(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(demo, "PAGE", tmp_path / "nowhere")
        path = tmp_path / "page.toml"
        path.write_text("[server]\ndemo = true\n")
        assert run("config", "check", "--config", str(path)) == (0, "The configuration is fine.\n")

"""The README says what is so."""

import asyncio
import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from bayeux_server.cli import main
from bayeux_server.settings import Settings, default_path
from tests.support.server import local_server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


class TestReadme:
    @pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
    def test_what_it_links_to_is_there(self, path: str) -> None:
        assert (ROOT / path).exists()

    @pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z][a-z-]*)", README))))
    def test_its_make_targets_are_there(self, target: str) -> None:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)

    @pytest.mark.parametrize(
        "key", sorted(set(re.findall(r"`((?:server|security|log|connect|limits)\.\w+)(?: = [^`]*)?`", README)))
    )
    def test_the_keys_it_names_are_there(self, key: str) -> None:
        section, name = key.split(".")
        assert name in msgspec.to_builtins(getattr(Settings(), section))

    @pytest.mark.parametrize(
        "name", sorted(set(re.findall(r"^\[extensions\.(\w+)\]", default_path().read_text(), re.MULTILINE)))
    )
    def test_it_names_every_extension_that_ships(self, name: str) -> None:
        assert f"`{name}`" in README or name == "demo_login"

    def test_its_configuration_is_toml(self) -> None:
        assert all(tomllib.loads(block) for block in blocks("toml"))

    async def test_its_client_does_what_it_says(self, capsys: pytest.CaptureFixture[str]) -> None:
        (program,) = [block for block in blocks("python") if "BayeuxClient" in block]
        definitions, _, call = program.rpartition("\n\n\n")
        assert call == "asyncio.run(main())\n"
        names: dict[str, object] = {}
        exec(compile(definitions, "README.md", "exec"), names)
        async with local_server() as server, asyncio.timeout(20):
            run = names["main"]
            assert callable(run)
            await run(server.url)
        assert "/demo/hello {'text': 'Hello'}" in capsys.readouterr().out

    def test_what_it_says_of_the_limits_is_so(self) -> None:
        limits, connect = Settings().limits, Settings().connect
        for said in (
            f"| {limits.max_body_bytes // 1_048_576} MiB |",
            f"| {limits.max_messages_per_batch:,}; {limits.max_json_depth} |",
            f"| {limits.max_channel_characters} characters, {limits.max_channel_segments} segments |",
            f"| {limits.max_subscriptions_per_session:,} |",
            f"| {limits.max_sessions_per_user}; {limits.max_sessions_per_address:,} |",
            f"| {limits.max_queue_messages:,} events, {limits.max_queue_bytes // 1_048_576} MiB |",
            f"| {connect.hold_timeout_ms // 1_000} s | answered |",
            f"| {connect.max_interval_ms // 1_000} s | ended |",
            f"| {limits.idle_socket_timeout_ms // 1_000} s; {limits.write_timeout_ms // 1_000} s | closed |",
            f"| {limits.max_sockets:,}; {limits.max_sockets_per_address:,} | 503 |",
        ):
            assert said in README

    @pytest.mark.parametrize("command", ["serve", "config check", "config show", "version"])
    def test_the_commands_explain_themselves(self, command: str) -> None:
        result = CliRunner().invoke(main, [*command.split(), "--help"])
        assert result.exit_code == 0
        assert "Usage:" in result.output

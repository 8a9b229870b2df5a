"""The compiled server does what the source does: every scenario of the conformance suite, against a real process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bayeux_server import compiled
from bayeux_server.cli import main
from clients.python import BayeuxClient
from clients.python.errors import CallFailedError
from tests.conformance.world import Scenario, Target
from tests.scenarios.test_conformance import CASES
from tests.support.server import ALLOWED_ORIGIN, ServerProcess

#: To compile takes a minute, and more on a busy machine; `make test` has done it before.
pytestmark = [pytest.mark.compiled, pytest.mark.timeout(600)]


def runs_a_build(process: ServerProcess) -> bool:
    """Return whether machine code of ours is loaded."""
    return str(compiled.build()) in Path(f"/proc/{process.pid}/maps").read_text()


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    compiled.build()
    with ServerProcess(
        "server.demo=false", f'server.allowed_origins=["{ALLOWED_ORIGIN}"]', "log.format=json"
    ) as process:
        yield process


@pytest.fixture
def target(server: ServerProcess) -> Iterator[Target]:
    begin = server.log.stat().st_size
    yield Target(server.url, ALLOWED_ORIGIN)
    logged = server.log.read_bytes()[begin:]
    assert b'"level": "error"' not in logged
    assert b"Traceback" not in logged


class TestCompiledServer:
    @pytest.mark.parametrize(("scenario", "transport"), CASES)
    async def test_it_does_what_is_right(self, scenario: Scenario, transport: str, target: Target) -> None:
        await scenario.run(target, transport)

    async def test_it_answers_a_call_that_is_refused(self, server: ServerProcess) -> None:
        async with BayeuxClient(server.url) as client:
            with pytest.raises(CallFailedError, match=r"^40\d:.*:\w+"):
                await client.call("/service/presence", {"type": "presence.heartbeat", "task_id": "unknown"})

    def test_it_is_the_build_that_runs(self, server: ServerProcess) -> None:
        assert runs_a_build(server)


class TestSource:
    def test_it_runs_where_the_settings_say_so(self) -> None:
        compiled.build()
        with ServerProcess("server.demo=false", "server.compiled=false", "log.format=json") as process:
            assert not runs_a_build(process)

    def test_modules_that_are_imported_already_are_not_exchanged(self) -> None:
        compiled.build()
        assert not compiled.use()
        assert not compiled.is_in_use()


class TestCommand:
    def test_it_says_where_the_build_is(self) -> None:
        done = CliRunner().invoke(main, ["compile"])
        assert done.exit_code == 0
        assert str(compiled.build()) in done.output

    def test_without_a_compiler_it_says_what_is_missing(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("empty")))
        monkeypatch.setenv("CC", "no-such-compiler")
        monkeypatch.setattr(compiled, "MODULES", ("server.pace",))
        done = CliRunner().invoke(main, ["compile"])
        assert done.exit_code == 1
        assert "a C compiler and Python's headers are needed" in done.output
        assert "no-such-compiler" in done.output

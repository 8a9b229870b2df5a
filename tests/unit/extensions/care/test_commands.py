"""``bayeux-server db``, ``demo``, ``features`` and ``dead-letters``, as they are called."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bayeux_server.cli import main
from channels import demo_data
from channels.stores.records import TaskQuery
from channels.stores.sqlite import SqliteStore
from extensions.care import play
from extensions.care.story import StoryError

Run = Callable[..., Result]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "care.sqlite3"


@pytest.fixture
def run(database: Path) -> Run:
    """Run ``bayeux-server`` with the database of the test."""

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--set", f"extensions.care.store_url=sqlite:///{database}"])

    return invoke


class TestUpgrade:
    def test_makes_the_database_and_its_folder_and_may_be_run_again(self, run: Run, database: Path) -> None:
        for _ in range(2):
            result = run("db", "upgrade")
            assert (result.output, result.exit_code) == ("The database is up to date.\n", 0)
        assert database.exists()

    def test_says_what_is_wrong_with_the_address_and_never_repeats_it(self) -> None:
        url = "postgresql://care:hunter2@127.0.0.1:1/care"
        result = CliRunner().invoke(main, ["db", "upgrade", "--set", f"extensions.care.store_url={url}"])
        assert result.exit_code == 1
        assert "extensions.care.store_url" in result.output
        assert "hunter2" not in result.output


class TestDemo:
    def test_fills_an_empty_database_and_changes_nothing_the_second_time(self, run: Run, database: Path) -> None:
        result = run("demo")
        assert result.exit_code == 0, result.output
        assert "3 teams, 12 coordinators, 40 members and 300 tasks are there." in result.output
        before = asyncio.run(_tasks(database))
        result = run("demo")
        assert (result.output, result.exit_code) == ("The demo is there already: nothing was changed.\n", 0)
        assert asyncio.run(_tasks(database)) == before
        assert len(before) == demo_data.TASKS

    def test_goes_on_where_it_was_stopped(self, run: Run, database: Path) -> None:
        assert run("db", "upgrade").exit_code == 0
        asyncio.run(_write_some(database, 100))
        assert run("demo").exit_code == 0
        assert len(asyncio.run(_tasks(database))) == demo_data.TASKS

    def test_a_play_has_settings_of_its_own(self, run: Run) -> None:
        result = run("demo", "--play")
        assert result.exit_code == 2
        assert "takes no --config and no --set" in result.output

    def test_a_play_that_goes_wrong_ends_with_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def fail(*_: object) -> None:
            raise StoryError("Tom heard no presence.typing")

        monkeypatch.setattr(play, "play_in", fail)
        monkeypatch.setattr("bayeux_server.logs.configure", lambda _: None)
        result = CliRunner().invoke(main, ["demo", "--play", "--pace", "0"])
        assert result.exit_code == 1
        assert "Error: the story went wrong: Tom heard no presence.typing" in result.output


class TestFeatures:
    def test_lists_what_was_set(self, run: Run) -> None:
        assert run("demo").exit_code == 0
        assert run("features", "set", "presence", "--percent", "10", "--team", "team_east").exit_code == 0
        lines = run("features", "list").output.splitlines()
        assert [line.split()[:2] for line in lines] == [
            ["presence", "10"], ["live_updates", "100"], ["locks", "100"], ["feed", "100"], ["notifications", "100"]
        ]  # fmt: skip
        assert "teams: team_east" in lines[0]
        assert "never changed" in lines[1]

    def test_refuses_a_team_that_is_none(self, run: Run) -> None:
        assert run("db", "upgrade").exit_code == 0
        result = run("features", "set", "presence", "--percent", "0", "--team", "team_moon")
        assert result.exit_code == 2
        assert "team_moon is no team" in result.output

    @pytest.mark.parametrize("words", [("presence", "--percent", "101"), ("telepathy", "--percent", "10")])
    def test_refuses_what_no_switch_can_have(self, run: Run, words: tuple[str, ...]) -> None:
        assert run("features", "set", *words).exit_code == 2

    def test_says_what_to_do_without_a_database(self, run: Run) -> None:
        result = run("features", "list")
        assert result.exit_code == 1
        assert "bayeux-server db upgrade" in result.output


class TestOthers:
    def test_dead_letters_need_a_kafka(self) -> None:
        result = CliRunner().invoke(main, ["dead-letters", "list"])
        assert result.exit_code == 1
        assert "bootstrap_servers is empty" in result.output

    def test_every_command_is_listed(self) -> None:
        listed = CliRunner().invoke(main, ["--help"]).output
        assert all(f"  {name} " in listed for name in ("audit", "db", "dead-letters", "demo", "features", "serve"))


async def _tasks(database: Path) -> list[object]:
    store = SqliteStore(database)
    await store.start()
    try:
        return list(await store.tasks(TaskQuery(limit=1_000)))
    finally:
        await store.stop()


async def _write_some(database: Path, commits: int) -> None:
    store = SqliteStore(database)
    await store.start()
    try:
        for number, commit in enumerate(demo_data.demo_commits()):
            if number == commits:
                break
            await store.commit(commit)
    finally:
        await store.stop()

"""The server is killed wherever an event may be; nothing acknowledged is missing at a subscriber that comes back."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest

from extensions.careflow.config import CareflowConfig
from tests.support.care_world import EAST, MIKE, SARAH
from tests.support.careflow import kafka_config, produce, task_updated, written
from tests.support.desk import Desk
from tests.support.fused_server import LIT, POINTS
from tests.support.production import Production, found_clinic_at, fresh_token
from tests.support.screens import Screen, cometd_screen, python_screen

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka

#: Of each task before and after each kill; their events are on their way at the same time.
CHANGES = 8
FEED = f"/activity_feed/{EAST}"
TEAM_LIST = f"/task_list/team/{EAST}"


class FusedProduction(Production):
    """Ends itself at one point after the other, when it is told to."""

    def __init__(self, folder: Path, road: str, **values: Any) -> None:
        super().__init__(folder, **values)
        self._road = road
        self._points = list(POINTS[road])
        self._folder = folder
        self._lit = folder / LIT

    def program(self) -> list[str]:
        if not self._points:
            return super().program()
        return [sys.executable, "-m", "tests.support.fused_server", self._road, self._points[0], str(self._folder)]

    def light(self) -> None:
        """From here on the point is passed at one's peril."""
        self._lit.touch()

    async def restart_when_killed(self) -> None:
        """Wait for the kill, and start again: for the next point, and after the last as the server ships."""
        assert await asyncio.to_thread(self.wait, 30.0) == -signal.SIGKILL
        self._lit.unlink()
        del self._points[0]
        self.start()


@pytest.fixture
def careflow(kafka_broker: "Kafka") -> CareflowConfig:
    return kafka_config(kafka_broker.bootstrap_servers, f"t{token_hex(6)}", session_timeout_ms=1_000)


@pytest.fixture(params=["sqlite", "postgres"])
async def store_url(request: pytest.FixtureRequest, tmp_path: Path, postgres_dsn: str) -> str:
    url = postgres_dsn if request.param == "postgres" else f"sqlite:///{tmp_path / 'care.sqlite3'}"
    await found_clinic_at(url)
    return url


@pytest.mark.usefixtures("node_js")
class TestKills:
    @pytest.mark.parametrize("road", POINTS)
    async def test_every_acknowledged_change_is_shown_and_once_by_its_id(
        self, road: str, tmp_path: Path, store_url: str, redis_url: str, careflow: CareflowConfig
    ) -> None:
        with FusedProduction(tmp_path, road, store_url=store_url, redis_url=redis_url, careflow=careflow) as server:
            async with Desk(server, SARAH) as desk:
                tasks = [await desk.create() for _ in range(4)]
                channels = [*(f"/task/{task_id}" for task_id in tasks), TEAM_LIST, FEED]
                async with (
                    python_screen(server.url, fresh_token(SARAH), channels) as one,
                    cometd_screen(server.url, fresh_token(MIKE), channels) as other,
                ):
                    await shows(one, tasks, 1)
                    await shows(other, tasks, 1)
                    version = 1
                    for point in POINTS[road]:
                        server.light()
                        await change_and_restart(server, desk, careflow, tasks, range(version, version + CHANGES))
                        version += CHANGES
                        with told_of(point):
                            await shows(one, tasks, version)
                            await shows(other, tasks, version)
                    await other_services_hear(careflow, tasks, version)


async def change_and_restart(
    server: FusedProduction, desk: Desk, careflow: CareflowConfig, tasks: list[str], versions: range
) -> None:
    """Change all tasks at each of these versions, the last one by events of another service, through a kill."""
    *ours, theirs = tasks
    events = [task_updated(version + 1, task_id=theirs, task={"id": theirs}) for version in versions]

    async def restart() -> None:
        await server.restart_when_killed()
        await desk.back()

    async with asyncio.TaskGroup() as group:
        for task_id in ours:
            group.create_task(desk.change_often(task_id, versions))
        # Each acknowledged by the broker before the next.
        group.create_task(asyncio.to_thread(produce, careflow, careflow.topic_of("task.updated"), theirs, *events))
        group.create_task(restart())


async def shows(screen: Screen, tasks: list[str], version: int) -> None:
    """Wait until all versions of all tasks were shown, and see that nothing was twice, or out of order."""
    versions = list(range(1, version + 1))
    counts = {FEED: len(tasks) * version, TEAM_LIST: len(tasks) * version}
    counts |= {f"/task/{task_id}": version for task_id in tasks}
    await screen.until(lambda: all(len(screen.events(channel)) >= count for channel, count in counts.items()))
    for task_id in tasks:
        listed = [event["version"] for event in screen.events(TEAM_LIST) if event["task_id"] == task_id]
        assert (screen.versions(f"/task/{task_id}"), listed) == (versions, versions)
    assert len(screen.events(FEED)) == counts[FEED]
    assert screen.contradictions == []


async def other_services_hear(careflow: CareflowConfig, tasks: list[str], version: int) -> None:
    """Wait until Kafka has every change, and see that those of one task are in order."""
    versions = list(range(2, version + 1))
    for task_id in tasks:
        events = await asyncio.to_thread(written, careflow, careflow.topic_of("task.updated"), task_id, len(versions))
        assert [event["version"] for event in events] == versions


@contextmanager
def told_of(point: str) -> Iterator[None]:
    """Have a failure say where the server was killed."""
    try:
        yield
    except Exception as error:
        error.add_note(f"killed at: {point}")
        raise

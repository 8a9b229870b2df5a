"""Our process is killed wherever an event may be; nothing acknowledged is missing afterwards."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import careflow_process
from tests.support.careflow_process import FOREIGN_TASK, POINTS, TASKS

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka

NOWHERE = "nowhere"


async def run(folder: Path, broker: "Kafka", world: str, name: str, point: str) -> int:
    """Run the process to its end and return its exit code."""
    arguments = [str(folder), broker.bootstrap_servers, world, name, point]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", careflow_process.__name__, *arguments)
    async with asyncio.timeout(30):
        return await process.wait()


def screen(folder: Path) -> list[dict[str, Any]]:
    """What was shown, in order; a line that was being written at the kill does not count."""
    lines = (folder / "screen").read_text().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


class TestKills:
    @pytest.mark.parametrize("point", POINTS)
    async def test_every_acknowledged_change_is_shown_and_once_by_its_id(
        self, point: str, tmp_path: Path, kafka_broker: "Kafka"
    ) -> None:
        world = f"t{token_hex(6)}"
        assert await run(tmp_path, kafka_broker, world, "first", point) == -signal.SIGKILL
        assert await run(tmp_path, kafka_broker, world, "second", NOWHERE) == 0

        acknowledged = (tmp_path / "acknowledged").read_text().split()
        shown = screen(tmp_path)
        for task_id in (*TASKS, FOREIGN_TASK):
            # A client drops what it knows by the event's id.
            by_id = {each["event_id"]: each for each in shown if each["channel"] == f"/task/{task_id}"}
            versions = [each["version"] for each in by_id.values() if each["version"] is not None]
            assert versions == sorted(set(versions))
        assert set(acknowledged) <= {each["event_id"] for each in shown}

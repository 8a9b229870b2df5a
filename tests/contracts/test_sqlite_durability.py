"""SQLite under SIGKILL: what was acknowledged is there, and every version has its event."""

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from channels.stores.migrations import upgrade

#: Milliseconds after the first acknowledgement at which the process dies: fixed, spread over a few groups.
DEATHS_MS = random.Random(20251113).sample(range(150), 6)


def acknowledged(path: Path, death_ms: int) -> dict[str, int]:
    """Run a writer, kill it, and return the highest version of each task that it was told is durable."""
    command = [sys.executable, "-m", "tests.support.sqlite_writer", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline()]
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(death_ms / 1000)
        writer.kill()
        lines += writer.stdout.readlines()
    versions: dict[str, int] = {}
    for line in lines:
        if line.endswith("\n"):
            task_id, version = line.split()
            versions[task_id] = max(versions.get(task_id, 0), int(version))
    return versions


class TestKilledWriter:
    @pytest.mark.parametrize("death_ms", DEATHS_MS)
    async def test_loses_nothing_it_acknowledged_and_no_event(self, tmp_path: Path, death_ms: int) -> None:
        path = tmp_path / "care.db"
        await asyncio.to_thread(upgrade, f"sqlite:///{path}")
        promised = await asyncio.to_thread(acknowledged, path, death_ms)
        assert promised
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        stored = dict(connection.execute("SELECT id, version FROM tasks"))
        assert all(stored[task_id] >= version for task_id, version in promised.items())
        kept = set(connection.execute("SELECT task_id, version FROM task_versions"))
        assert kept == {(task_id, each) for task_id, newest in stored.items() for each in range(1, newest + 1)}
        payloads = connection.execute("SELECT payload FROM outbox WHERE type LIKE 'task.%' ORDER BY seq")
        told = [(event["task_id"], event["version"]) for (payload,) in payloads for event in [json.loads(payload)]]
        assert set(told) == kept
        for task_id in stored:
            versions = [version for told_id, version in told if told_id == task_id]
            assert versions == sorted(versions)
        connection.close()

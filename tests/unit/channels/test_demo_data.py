"""The demo: what it promises to hold, and that it is the same each time."""

import asyncio
from collections import Counter
from pathlib import Path

from channels.demo_data import COORDINATORS, MEMBERS, TASKS, TEAMS, coordinators, demo_commits, seed
from channels.stores.migrations import upgrade
from channels.stores.records import TaskQuery
from channels.stores.sqlite import SqliteStore
from channels.tasks.model import TaskStatus


class TestDemoData:
    def test_is_the_same_each_time(self) -> None:
        assert list(demo_commits()) == list(demo_commits())

    def test_names_nobody_twice(self) -> None:
        names = [member.name for commit in demo_commits() for member in commit.members]
        assert len(set(names)) == MEMBERS
        assert len({user.user_name for user in coordinators()}) == COORDINATORS

    async def test_fills_a_store(self, tmp_path: Path) -> None:
        path = tmp_path / "care.db"
        await asyncio.to_thread(upgrade, f"sqlite:///{path}")
        store = SqliteStore(path)
        await store.start()
        assert await seed(store) == TASKS
        tasks = await store.tasks(TaskQuery(limit=1000))
        assert len(tasks) == TASKS
        assert len(await store.members(after="", limit=1000)) == MEMBERS
        assert len(await store.teams()) == len(TEAMS) == 3
        statuses = Counter(task.status for task in tasks)
        assert all(statuses[status] > 20 for status in (TaskStatus.PENDING, TaskStatus.IN_PROGRESS))
        _, relations = await store.snapshot()
        roles = Counter(relation.relation for relation in relations if relation.object_type == "team")
        assert roles == {"care_coordinator": COORDINATORS, "rsa": 1}
        await store.stop()

"""What PostgreSQL brings beyond the contract: several nodes, and a server that goes away."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

from channels.stores.migrations import upgrade
from channels.stores.postgres import PostgresStore
from tests.support.care import Story, new_task
from tests.support.services.postgres import Postgres


@pytest.fixture
async def nodes(postgres_dsn: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    await asyncio.to_thread(upgrade, postgres_dsn)
    one, other = PostgresStore(postgres_dsn), PostgresStore(postgres_dsn)
    await one.start()
    await other.start()
    yield one, other
    await one.stop()
    await other.stop()


class TestSeveralNodes:
    async def test_a_commit_on_one_wakes_the_other(self, nodes: tuple[PostgresStore, PostgresStore]) -> None:
        one, other = nodes
        story = Story()
        task = new_task()
        await one.commit(story.create(task))
        # Its listener may only just be connecting: commit until it has heard one.
        while (seen := other.signals.outbox.count) == 0:
            task, commit = story.edit(task, f"notes {task.version}")
            await one.commit(commit)
            await other.signals.outbox.wait(seen, 1)
        assert other.signals.relations.count

    async def test_only_one_relays_at_a_time(self, nodes: tuple[PostgresStore, PostgresStore]) -> None:
        one, other = nodes
        await one.commit(Story().create(new_task()))
        async with one.outbox_batch(10) as mine, other.outbox_batch(10) as theirs:
            assert (len(mine.entries), len(theirs.entries)) == (2, 0)
        async with other.outbox_batch(10) as theirs:
            assert len(theirs.entries) == 2

    async def test_what_a_relay_did_not_live_to_mark_is_given_again(
        self, nodes: tuple[PostgresStore, PostgresStore]
    ) -> None:
        one, other = nodes
        await one.commit(Story().create(new_task()))
        with pytest.raises(RuntimeError):
            await self.die_while_relaying(one)
        async with other.outbox_batch(10) as batch:
            assert len(batch.entries) == 2

    async def die_while_relaying(self, store: PostgresStore) -> None:
        async with store.outbox_batch(10) as batch:
            await batch.mark_sent([entry.seq for entry in batch.entries])
            raise RuntimeError

    async def test_a_lower_number_that_becomes_visible_later_is_not_missed(
        self, nodes: tuple[PostgresStore, PostgresStore], postgres_dsn: str
    ) -> None:
        one, _ = nodes
        slow = await asyncpg.connect(postgres_dsn)
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(
            "INSERT INTO outbox (event_id, type, key, payload, created_at) VALUES ('late', 't', 'k', '{}', '')"
        )
        await one.commit(Story().create(new_task()))
        async with one.outbox_batch(10) as batch:
            await batch.mark_sent([entry.seq for entry in batch.entries])
        await transaction.commit()
        await slow.close()
        async with one.outbox_batch(10) as batch:
            assert [entry.event.event_id for entry in batch.entries] == ["late"]

    def test_nodes_that_start_together_migrate_once(self, postgres_dsn: str) -> None:
        program = "import sys; from channels.stores.migrations import upgrade; upgrade(sys.argv[1])"
        nodes = [subprocess.Popen([sys.executable, "-c", program, postgres_dsn]) for _ in range(2)]
        assert [node.wait() for node in nodes] == [0, 0]


class TestServerThatGoesAway:
    async def test_is_told_as_oserror_and_used_again_when_it_is_back(self) -> None:
        with Postgres(durable=True) as server:
            url = server.create_database()
            await asyncio.to_thread(upgrade, url)
            store = PostgresStore(url)
            await store.start()
            story = Story()
            task = new_task()
            await store.commit(story.create(task))
            await asyncio.to_thread(server.kill)
            for refused in (story.edit(task, "x")[1], story.create(new_task("task_2"))):
                with pytest.raises(ConnectionError):
                    await store.commit(refused)
            with pytest.raises(ConnectionError):
                await store.task(task.id)
            await asyncio.to_thread(server.start)
            assert await store.task(task.id) == task
            await store.commit(story.edit(task, "back")[1])
            await store.stop()

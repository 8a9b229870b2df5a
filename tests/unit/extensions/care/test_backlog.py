"""What the metrics say of the outbox."""

import asyncio
from pathlib import Path

from channels.stores.migrations import upgrade
from channels.stores.sqlite import SqliteStore
from extensions.care.backlog import BacklogWatch
from tests.support.care import BORN_S, Story, new_task


def _values(watch: BacklogWatch) -> dict[str, float]:
    return {
        sample.name.removeprefix("careapp_outbox_"): sample.value for each in watch.collect() for sample in each.samples
    }


async def test_rows_and_the_age_of_the_oldest_are_those_of_the_store(tmp_path: Path) -> None:
    await asyncio.to_thread(upgrade, f"sqlite:///{tmp_path / 'care.db'}")
    store = SqliteStore(tmp_path / "care.db")
    await store.start()
    now_s = BORN_S + 90
    watch = BacklogWatch(store, lambda: now_s)
    await watch.look()
    assert _values(watch) == {"waiting_events": 0, "oldest_age_seconds": 0}
    await store.commit(Story().create(new_task()))
    await watch.look()
    rows = (await store.backlog()).count
    assert rows > 0
    assert _values(watch) == {"waiting_events": rows, "oldest_age_seconds": 90}
    now_s += 10
    assert _values(watch)["oldest_age_seconds"] == 100
    async with store.outbox_batch(100) as batch:
        await batch.mark_sent([entry.seq for entry in batch.entries])
    await watch.look()
    assert _values(watch) == {"waiting_events": 0, "oldest_age_seconds": 0}
    await store.stop()

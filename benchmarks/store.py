"""Updates per second: both stores, against bare driver calls that do the same transaction.

One update is a compare-and-swap of a task, its version, an activity entry and two events for the outbox, durable when
it returns. Commits are made before the clock runs. The stores make rows and JSON of them, run transactions and wake
their callers; the bare calls are given rows and JSON made before, and nobody waits for them. Everything is measured in
one run, on fresh databases with ``synchronous = FULL`` and ``fsync = on``.

SQLite has two bare sides. One update to a transaction is what code without the store does, and the one the target is
for. Many to a transaction, as in the store, is the most that the driver gives: what is missing to it is the store's own
work, in the same process and under the same interpreter lock.

Run: ``python -m benchmarks.store [--short] [--callers N] [--updates N] [--only sqlite|postgres]``
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from channels.services.commits import commit_of_change
from channels.stores.migrations import upgrade
from channels.stores.port import CareStore
from channels.stores.postgres import PostgresStore
from channels.stores.records import Commit
from channels.stores.rows import TABLES, TASK_COLUMNS, insert_sql, rows_of, task_row
from channels.stores.sqlite import SqliteStore
from channels.tasks.changes import NewTask, TaskChanges, created, updated
from channels.tasks.model import Task, User
from channels.timestamps import iso_utc_ms

SARAH = User("cc_456", "Sarah Johnson", "care_coordinator")
#: Characters of a task's notes, as long as people write them.
NOTES = 200
#: Updates that the grouped bare calls put into one transaction: as many as the store does at most.
GROUP = 64
#: Connections of the bare PostgreSQL calls, and at most of the store.
CONNECTIONS = 8
#: What the store must reach of the bare calls.
TARGET = 0.6


class Result(NamedTuple):
    """One side's figures."""

    name: str
    per_second: float
    p50_ms: float
    p99_ms: float


class Life:
    """One task and its updates, one after the other."""

    def __init__(self, number: int, prefix: str) -> None:
        self._prefix = f"{prefix}_{number}"
        new = NewTask(title="Contact member", member_id="A123456", team_id="team_1", notes="n" * NOTES)
        self.task: Task = created(
            new, task_id=f"task_{self._prefix}", member_name="John Doe", assignee=SARAH, by=SARAH, at=iso_utc_ms(0)
        )

    def first(self) -> Commit:
        """Return the commit that creates the task."""
        return commit_of_change(None, self.task, event_id=f"ev_{self._prefix}_1", by=SARAH)

    def next(self) -> Commit:
        """Return the commit of the next update, and move on."""
        before = self.task
        notes = f"{before.version} " + "n" * NOTES
        self.task = updated(before, TaskChanges(notes=notes), by=SARAH, at=iso_utc_ms(before.version))
        return commit_of_change(before, self.task, event_id=f"ev_{self._prefix}_{self.task.version}", by=SARAH)


class Latencies:
    """Times of single updates, and how many there were."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._began = time.perf_counter()

    def add(self, began: float, updates: int = 1) -> None:
        """Take the time of ``updates`` that ended together now."""
        self._seconds += [time.perf_counter() - began] * updates

    def result(self, name: str) -> Result:
        """Return the figures of everything so far."""
        elapsed_s = time.perf_counter() - self._began
        ordered = sorted(self._seconds)
        p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
        return Result(name, len(ordered) / elapsed_s, p50, p99)


async def measure_store(name: str, store: CareStore, callers: int, updates: int) -> Result:
    """Have many callers update each a task of its own; ``updates`` of them in all."""
    lives = [Life(number, "store") for number in range(callers)]
    await asyncio.gather(*(store.commit(life.first()) for life in lives))
    commits = [[life.next() for _ in range(updates // callers)] for life in lives]
    latencies = Latencies()

    async def call(own: list[Commit]) -> None:
        for commit in own:
            began = time.perf_counter()
            await store.commit(commit)
            latencies.add(began)

    await asyncio.gather(*map(call, commits))
    return latencies.result(name)


class Prepared(NamedTuple):
    """An update as bare rows: of the task with its id and expected version, then by table."""

    task: tuple[Any, ...]
    rows: tuple[tuple[str, list[Any]], ...]


def prepared(commit: Commit) -> Prepared:
    """Return a commit as bare rows."""
    write = commit.write
    if write is None:
        raise ValueError("an update has a task")
    return Prepared((*task_row(write.task), write.task.id, write.expected_version), tuple(rows_of(commit)))


def first_rows(commit: Commit) -> tuple[Any, ...]:
    """Return the row of the task that a commit creates."""
    if commit.write is None:
        raise ValueError("a creation has a task")
    return tuple(task_row(commit.write.task))


def _sql(mark: Callable[[int], str]) -> tuple[str, str, dict[str, str]]:
    """Return the statements that insert a task, update one, and insert into each table, with a driver's parameters."""
    columns = ", ".join(TASK_COLUMNS)
    marks = ", ".join(mark(index + 1) for index in range(len(TASK_COLUMNS)))
    end = len(TASK_COLUMNS)
    update = f"UPDATE tasks SET ({columns}) = ({marks}) WHERE id = {mark(end + 1)} AND version = {mark(end + 2)}"
    inserts = {
        name: insert_sql(name, f"VALUES ({', '.join(mark(index + 1) for index in range(len(table.columns)))})")
        for name, table in TABLES.items()
    }
    return f"INSERT INTO tasks ({columns}) VALUES ({marks})", update, inserts


def bare_sqlite(name: str, path: Path, group: int, updates: int) -> Result:
    """Update with the driver alone, ``group`` updates to a transaction."""
    insert_task, update, inserts = _sql(lambda _: "?")
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    lives = [Life(number, "bare") for number in range(50)]
    connection.executemany(insert_task, [first_rows(life.first()) for life in lives])
    ready = [prepared(lives[number % len(lives)].next()) for number in range(updates)]
    latencies = Latencies()
    for start in range(0, updates, group):
        batch = ready[start : start + group]
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for each in batch:
            if connection.execute(update, each.task).rowcount != 1:
                raise RuntimeError("an update was lost")
            for table, rows in each.rows:
                connection.executemany(inserts[table], rows)
        connection.execute("COMMIT")
        latencies.add(began, len(batch))
    connection.close()
    return latencies.result(name)


async def bare_postgres(name: str, url: str, updates: int) -> Result:
    """Update with the driver alone: BEGIN, one statement per table, COMMIT, on several connections."""
    insert_task, update, inserts = _sql(lambda number: f"${number}")
    pool = await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    lives = [Life(number, "bare") for number in range(CONNECTIONS)]
    await pool.executemany(insert_task, [first_rows(life.first()) for life in lives])
    ready = [[prepared(life.next()) for _ in range(updates // CONNECTIONS)] for life in lives]
    latencies = Latencies()

    async def work(own: list[Prepared]) -> None:
        async with pool.acquire() as connection:
            for each in own:
                began = time.perf_counter()
                async with connection.transaction():
                    if await connection.execute(update, *each.task) != "UPDATE 1":
                        raise RuntimeError("an update was lost")
                    for table, rows in each.rows:
                        for row in rows:
                            await connection.execute(inserts[table], *row)
                latencies.add(began)

    await asyncio.gather(*map(work, ready))
    await pool.close()
    return latencies.result(name)


async def sqlite_results(callers: int, updates: int) -> list[Result]:
    """Measure the embedded store and its bare calls."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.db" for name in ("store", "bare", "grouped")]
        for path in paths:
            await asyncio.to_thread(upgrade, f"sqlite:///{path}")
        store = SqliteStore(paths[0])
        await store.start()
        ours = await measure_store(f"sqlite store, {callers} callers", store, callers, updates)
        await store.stop()
        return [
            ours,
            await asyncio.to_thread(bare_sqlite, "bare sqlite3, 1 update/transaction", paths[1], 1, updates),
            await asyncio.to_thread(bare_sqlite, f"bare sqlite3, {GROUP}/transaction", paths[2], GROUP, updates),
        ]


async def postgres_results(callers: int, updates: int) -> list[Result]:
    """Measure the PostgreSQL store and its bare calls, on a server of their own."""
    from tests.support.services.postgres import Postgres

    with Postgres(durable=True) as server:
        results = []
        for measure in (_postgres_store(callers, updates), _postgres_bare(updates)):
            url = server.create_database()
            await asyncio.to_thread(upgrade, url)
            results.append(await measure(url))
            server.drop_database(url)
        return results


def _postgres_store(callers: int, updates: int) -> Callable[[str], Awaitable[Result]]:
    async def measure(url: str) -> Result:
        store = PostgresStore(url)
        await store.start()
        result = await measure_store(f"postgres store, {callers} callers", store, callers, updates)
        await store.stop()
        return result

    return measure


def _postgres_bare(updates: int) -> Callable[[str], Awaitable[Result]]:
    return lambda url: bare_postgres(f"bare asyncpg, {CONNECTIONS} connections", url, updates)


def report(results: list[Result]) -> bool:
    """Print the figures and whether the first reaches the target against the second."""
    for result in results:
        print(
            f"{result.name:40} {result.per_second:9,.0f}/s   p50 {result.p50_ms:7.2f} ms   p99 {result.p99_ms:7.2f} ms"
        )
    for bare in results[1:]:
        print(f"  ratio to {bare.name:37} {results[0].per_second / bare.per_second:6.2f}")
    return results[0].per_second >= TARGET * results[1].per_second


async def main() -> int:
    """Measure and print; return 0 if both stores reach the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a tenth of the updates")
    parser.add_argument("--callers", type=int, default=50, help="tasks that are changed at the same time")
    parser.add_argument("--updates", type=int, default=10_000, help="for each side")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    options = parser.parse_args()
    updates = options.updates // 10 if options.short else options.updates
    reached = True
    if options.only != "postgres":
        reached &= report(await sqlite_results(options.callers, updates))
    if options.only != "sqlite":
        reached &= report(await postgres_results(options.callers, updates))
    print(f"target: {TARGET} of the first bare side: {'reached' if reached else 'missed'}")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))

"""The embedded store: SQLite in WAL mode, one writer thread, a few readers."""

# What is put into SQL as text here are names of our own; values are parameters.
# ruff: noqa: S608

import asyncio
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from msgspec.structs import astuple

from channels.notifications import NotificationsRead
from channels.relations import Operation
from channels.stores import queries
from channels.stores.group_commit import GroupCommitter, Result
from channels.stores.marking import notifications_read, outgoing
from channels.stores.port import EventKnownError, OutboxBatch, ReplyExistsError, VersionMismatchError
from channels.stores.reading import Found, SqlReads, entry_of
from channels.stores.records import Commit, OutboxEntry, TaskWrite
from channels.stores.rows import TABLES, TASK_COLUMNS, Row, insert_sql, rows_of, task_row
from channels.stores.signals import Signals

#: Threads that read at the same time; readers never wait for the writer.
_READERS: Final = 2
#: Milliseconds that a write waits for another process that is writing, such as a command line.
_BUSY_MS: Final = 5_000

_Operation = Callable[[sqlite3.Connection], object]

_INSERTS: Final = {
    name: insert_sql(name, f"VALUES ({', '.join('?' * len(table.columns))})") for name, table in TABLES.items()
}
_MARKS: Final = ", ".join("?" * len(TASK_COLUMNS))
_INSERT_TASK: Final = f"INSERT OR IGNORE INTO tasks ({', '.join(TASK_COLUMNS)}) VALUES ({_MARKS})"
_UPDATE_TASK: Final = f"UPDATE tasks SET ({', '.join(TASK_COLUMNS)}) = ({_MARKS}) WHERE id = ? AND version = ?"
_SAME_RELATION: Final = " AND ".join(f"{name} = ?" for name in TABLES["relations"].columns)
_DELETE_RELATION: Final = f"DELETE FROM relations WHERE {_SAME_RELATION}"
_RENAME: Final = "UPDATE tasks SET member_name = ? WHERE member_id = ?"
_UNREAD: Final = "SELECT id FROM notifications WHERE user_id = ? AND read_at IS NULL ORDER BY seq"
_TRIM_CHANGES: Final = """DELETE FROM relation_changes WHERE revision <=
    (SELECT coalesce(max(revision), 0) FROM relation_changes) - ?"""
_RESOLVE: Final = "UPDATE conflicts SET resolution = ?, resolved_at = ? WHERE id = ? AND resolution IS NULL"

#: Table whose uniqueness was broken, to what that means.
_TAKEN: Final = {
    "replies": ReplyExistsError,
    "inbox": EventKnownError,
    "task_versions": EventKnownError,
}


@lru_cache(maxsize=256)
def _numbered(sql: str) -> str:
    """SQLite numbers parameters ``?1``; the queries write ``$1``."""
    return re.sub(r"\$(\d+)", r"?\1", sql)


class SqliteStore(SqlReads):
    """:class:`channels.stores.port.CareStore` in one file.

    Durable with ``synchronous = FULL``: a commit returns when its group's fsync has. Several writes share an fsync.

    Args:
        path: The database's file.
    """

    def __init__(self, path: Path) -> None:
        self.signals = Signals()
        self._path = path
        self._relaying = asyncio.Lock()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []

    async def start(self) -> None:
        """See the port.

        Raises:
            sqlite3.OperationalError: If the file cannot be opened.
        """
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        self._writer = GroupCommitter(connection)
        self._pool = ThreadPoolExecutor(_READERS, "sqlite-reader", self._open_reader)

    async def stop(self) -> None:
        """See the port."""
        await self._writer.stop()
        await asyncio.to_thread(self._pool.shutdown)
        for connection in self._readers:
            connection.close()
        self._readers.clear()

    async def commit(self, commit: Commit) -> None:
        """See the port."""
        rows = list(rows_of(commit))
        await self._write(lambda connection: _write(connection, commit, rows))
        self.signals.fire_for(commit)

    async def mark_read(
        self, user_id: str, notification_ids: Collection[str] | None, *, event_id: str, at: str
    ) -> NotificationsRead:
        """See the port."""

        def mark(connection: sqlite3.Connection) -> NotificationsRead:
            found = connection.execute(_UNREAD, (user_id,)).fetchall()
            marked = [each for (each,) in found if notification_ids is None or each in notification_ids]
            connection.executemany("UPDATE notifications SET read_at = ? WHERE id = ?", [(at, each) for each in marked])
            told = None if notification_ids is None else marked
            event = notifications_read(user_id, told, len(found) - len(marked), event_id=event_id, at=at)
            if marked:
                connection.execute(_INSERTS["outbox"], astuple(outgoing(event)))
            return event

        event = await self._write(mark)
        self.signals.outbox.fire()
        return event

    @asynccontextmanager
    async def outbox_batch(self, limit: int) -> AsyncIterator[OutboxBatch]:
        """See the port. One writer gives the numbers, so they become visible in their order."""
        async with self._relaying:
            rows = await self._rows(queries.WAITING, (limit,))
            yield _Batch([entry_of(row) for row in rows], self._write)

    async def purge(self, before: str, *, relation_changes_kept: int) -> None:
        """See the port."""

        def forget(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM replies WHERE stored_at < ?", (before,))
            connection.execute("DELETE FROM inbox WHERE seen_at < ?", (before,))
            connection.execute(_TRIM_CHANGES, (relation_changes_kept,))

        await self._write(forget)

    async def _write(self, operation: Callable[[sqlite3.Connection], Result]) -> Result:
        with _MEANT:
            return await self._writer.write(operation)

    async def _rows(self, sql: str, arguments: Sequence[Any] = ()) -> Sequence[Found]:
        loop = asyncio.get_running_loop()
        with _MEANT:
            return await loop.run_in_executor(self._pool, self._fetch, _numbered(sql), arguments)

    def _fetch(self, sql: str, arguments: Sequence[Any]) -> Sequence[Found]:
        connection: sqlite3.Connection = self._local.connection
        return connection.execute(sql, arguments).fetchall()

    def _open_reader(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = 1")
        connection.row_factory = sqlite3.Row
        self._local.connection = connection
        self._readers.append(connection)


class _Meant:
    """Turns the driver's "I cannot, now" (locked, full, unreadable) into the port's."""

    def __enter__(self) -> None:
        """Nothing is held: every statement may share one."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.OperationalError):
            raise OSError(error.sqlite_errorname) from error


_MEANT: Final = _Meant()


class _Batch:
    def __init__(self, entries: Sequence[OutboxEntry], write: Callable[[_Operation], Awaitable[object]]) -> None:
        self.entries = entries
        self._write = write

    async def mark_sent(self, seqs: Collection[int]) -> None:
        rows = [(seq,) for seq in seqs]
        await self._write(lambda connection: connection.executemany("DELETE FROM outbox WHERE seq = ?", rows))


def _write(connection: sqlite3.Connection, commit: Commit, rows: Sequence[tuple[str, list[Row]]]) -> None:
    if commit.write is not None:
        _write_task(connection, commit.write)
    for name, values in rows:
        try:
            connection.executemany(_INSERTS[name], values)
        except sqlite3.IntegrityError as error:
            raise _TAKEN.get(name, VersionMismatchError) from error
    gone = [relation for operation, relation in commit.relations if operation is Operation.DELETE]
    if gone:
        connection.executemany(_DELETE_RELATION, gone)
    for member in commit.members:
        connection.execute(_RENAME, (member.name, member.id))
    if commit.resolved is not None:
        resolved = commit.resolved
        connection.execute(_RESOLVE, (resolved.resolution, resolved.resolved_at, resolved.conflict_id))


def _write_task(connection: sqlite3.Connection, write: TaskWrite) -> None:
    row = task_row(write.task)
    if write.expected_version:
        cursor = connection.execute(_UPDATE_TASK, (*row, write.task.id, write.expected_version))
    else:
        cursor = connection.execute(_INSERT_TASK, row)
    if cursor.rowcount != 1:
        raise VersionMismatchError

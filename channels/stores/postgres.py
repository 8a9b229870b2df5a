"""The store for several nodes: PostgreSQL through asyncpg, one statement per commit."""

# What is put into SQL as text here are names of our own; values are parameters.
# ruff: noqa: S608

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import structlog
from msgspec.structs import astuple

from channels.notifications import NotificationsRead
from channels.relations import Operation
from channels.stores import queries
from channels.stores.marking import notifications_read, outgoing
from channels.stores.port import EventKnownError, OutboxBatch, ReplyExistsError, VersionMismatchError
from channels.stores.reading import Found, SqlReads, entry_of
from channels.stores.records import Commit, OutboxEntry
from channels.stores.rows import TABLES, TASK_COLUMNS, insert_sql, json_text, rows_of
from channels.stores.signals import LOOK_AGAIN_S, Signals

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger()

#: Connections at most; a commit holds one for one round trip. None is kept that is not used.
_MAX_CONNECTIONS: Final = 8
#: Seconds a statement may take; then it is as if the server were away.
_COMMAND_TIMEOUT_S: Final = 30.0
#: Channel of NOTIFY by which nodes tell each other that something was written.
_CHANNEL: Final = "care_store"
#: Numbers of advisory locks: one relay at a time, and changes of relations one after the other.
_RELAY_LOCK: Final = 7_227_385
_RELATIONS_LOCK: Final = 7_227_386

_TASK_COLUMNS: Final = ", ".join(TASK_COLUMNS)
_TASK_VALUES: Final = "jsonb_populate_record(NULL::tasks, $1::jsonb -> 'task')"
#: The three ways a commit can begin; the rest of it is written only if the beginning gave a row.
_GATES: Final = {
    "none": "SELECT 1 WHERE $2::text IS NULL AND $3::bigint = 0",
    "insert": f"""INSERT INTO tasks ({_TASK_COLUMNS}) SELECT {_TASK_COLUMNS} FROM {_TASK_VALUES}
        WHERE id = $2::text AND $3::bigint = 0 ON CONFLICT DO NOTHING RETURNING 1""",
    "update": f"""UPDATE tasks SET ({_TASK_COLUMNS}) = (SELECT {_TASK_COLUMNS} FROM {_TASK_VALUES})
        WHERE id = $2::text AND version = $3::bigint RETURNING 1""",
}


def _statement(gate: str, tables: tuple[str, ...], *, deletes: bool) -> str:
    """Return one statement that writes a whole commit.

    ``$1`` is its JSON, ``$2`` the task's id, ``$3`` the expected version.

    Changes of relations take a lock that is held to the end of the transaction: their revisions become visible in
    order, so that a reader who goes on "above the last" misses none.
    """
    parts = [f"gate AS ({_GATES[gate]})"]
    if "relation_changes" in tables:
        parts.append(f"turn AS MATERIALIZED (SELECT pg_advisory_xact_lock({_RELATIONS_LOCK}) FROM gate)")
    for name in tables:
        columns = ", ".join(f"r.{column}" for column in TABLES[name].columns)
        after = "gate, turn" if name == "relation_changes" else "gate"
        source = f"SELECT {columns} FROM {after}, jsonb_populate_recordset(NULL::{name}, $1::jsonb -> '{name}') AS r"
        parts.append(f"in_{name} AS ({insert_sql(name, source)})")
    if "members" in tables:
        parts.append(_RENAME)
    if deletes:
        parts.append(_DELETE_RELATIONS)
    return f"WITH {', '.join(parts)}, resolved AS ({_RESOLVE}) SELECT count(*) FROM gate"


_SAME_RELATION: Final = " AND ".join(f"relations.{name} = r.{name}" for name in TABLES["relations"].columns)
_DELETE_RELATIONS: Final = f"""gone AS (DELETE FROM relations
    USING gate, jsonb_populate_recordset(NULL::relations, $1::jsonb -> 'gone') AS r WHERE {_SAME_RELATION})"""
_RENAME: Final = """renamed AS (UPDATE tasks SET member_name = r.name
    FROM gate, jsonb_populate_recordset(NULL::members, $1::jsonb -> 'members') AS r
    WHERE tasks.member_id = r.id AND tasks.member_name <> r.name)"""
_RESOLVE: Final = """UPDATE conflicts
    SET resolution = $1::jsonb -> 'resolved' ->> 'resolution', resolved_at = $1::jsonb -> 'resolved' ->> 'resolved_at'
    FROM gate WHERE conflicts.id = $1::jsonb -> 'resolved' ->> 'conflict_id' AND conflicts.resolution IS NULL"""
_MARK: Final = """WITH marked AS (UPDATE notifications SET read_at = $2
    WHERE user_id = $1 AND read_at IS NULL AND ($3::text[] IS NULL OR id = ANY($3)) RETURNING id)
    SELECT (SELECT array_agg(id) FROM marked) AS marked,
        (SELECT count(*) FROM notifications WHERE user_id = $1 AND read_at IS NULL) AS unread"""
_TRIM_CHANGES: Final = """DELETE FROM relation_changes WHERE revision <=
    (SELECT coalesce(max(revision), 0) FROM relation_changes) - $1"""
_OUTBOX_COLUMNS: Final = TABLES["outbox"].columns
_INSERT_OUTBOX: Final = insert_sql("outbox", "VALUES ($1, $2, $3, $4, $5)")

#: The server is not there, starts, stops, or has no connection left.
_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    # What the driver says of a connection that ended while a statement was on its way.
    asyncpg.InternalClientError,
)
#: Table whose uniqueness was broken, to what that means.
_TAKEN: Final = {"replies": ReplyExistsError, "inbox": EventKnownError, "task_versions": EventKnownError}


class PostgresStore(SqlReads):
    """:class:`channels.stores.port.CareStore` in a PostgreSQL database that several nodes share.

    Args:
        url: ``postgresql://user:password@host:port/database``.
    """

    def __init__(self, url: str) -> None:
        self.signals = Signals()
        self._url = url
        self._statements: dict[tuple[str, tuple[str, ...], bool], str] = {}
        self._telling: asyncio.Task[None] | None = None
        self._tell_again = False

    async def start(self) -> None:
        """See the port.

        Raises:
            OSError: If the server cannot be reached.
            asyncpg.PostgresError: If it refuses us.
        """
        self._pool = await asyncpg.create_pool(
            self._url, min_size=0, init_size=1, max_size=_MAX_CONNECTIONS, command_timeout=_COMMAND_TIMEOUT_S
        )
        self._listening = asyncio.create_task(self._listen(), name="postgres-listen")

    async def stop(self) -> None:
        """See the port."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        if self._telling is not None:
            await self._telling
        await self._pool.close()

    async def commit(self, commit: Commit) -> None:
        """See the port."""
        document, tables = _document_of(commit)
        write = commit.write
        gate = "none" if write is None else "update" if write.expected_version else "insert"
        shape = (gate, tables, "gone" in document)
        statement = self._statements.get(shape)
        if statement is None:
            statement = self._statements[shape] = _statement(gate, tables, deletes=shape[2])
        task_id, expected = (write.task.id, write.expected_version) if write else (None, 0)
        with _meant():
            done = await self._pool.fetchval(statement, json_text(document), task_id, expected)
        if not done:
            raise VersionMismatchError
        self.signals.fire_for(commit)
        self._tell_others()

    async def mark_read(
        self, user_id: str, notification_ids: Collection[str] | None, *, event_id: str, at: str
    ) -> NotificationsRead:
        """See the port."""
        with _meant():
            event = await self._mark_read(user_id, notification_ids, event_id, at)
        self.signals.outbox.fire()
        self._tell_others()
        return event

    async def _mark_read(
        self, user_id: str, notification_ids: Collection[str] | None, event_id: str, at: str
    ) -> NotificationsRead:
        async with self._pool.acquire() as connection, connection.transaction():
            # One at a time for a user: else two tabs could each count what the other is marking.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", user_id)
            wanted = None if notification_ids is None else list(notification_ids)
            [row] = await connection.fetch(_MARK, user_id, at, wanted)
            marked = row["marked"] or []
            told = None if notification_ids is None else marked
            # The count sees the table as it was before the marking in the same statement.
            event = notifications_read(user_id, told, row["unread"] - len(marked), event_id=event_id, at=at)
            if marked:
                await connection.execute(_INSERT_OUTBOX, *astuple(outgoing(event)))
        return event

    @asynccontextmanager
    async def outbox_batch(self, limit: int) -> AsyncIterator[OutboxBatch]:
        """See the port. Reads whatever waits, not what is above a number: lower numbers may become visible later."""
        with _meant():
            async with self._pool.acquire() as connection, connection.transaction():
                mine = await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _RELAY_LOCK)
                rows = await connection.fetch(f"{queries.WAITING} FOR UPDATE SKIP LOCKED", limit) if mine else []
                yield _Batch([entry_of(dict(row)) for row in rows], connection)

    async def purge(self, before: str, *, relation_changes_kept: int) -> None:
        """See the port."""
        with _meant():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("DELETE FROM replies WHERE stored_at < $1", before)
                await connection.execute("DELETE FROM inbox WHERE seen_at < $1", before)
                await connection.execute(_TRIM_CHANGES, relation_changes_kept)

    async def _rows(self, sql: str, arguments: Sequence[Any] = ()) -> Sequence[Found]:
        with _meant():
            rows = await self._pool.fetch(sql, *arguments)
        return [dict(row) for row in rows]

    def _tell_others(self) -> None:
        """NOTIFY the other nodes, once for many commits, and outside of them: inside, NOTIFY makes commits queue."""
        self._tell_again = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name="postgres-notify")

    async def _tell(self) -> None:
        while self._tell_again:
            self._tell_again = False
            try:
                await self._pool.execute("SELECT pg_notify($1, '')", _CHANNEL)
            except (OSError, *_AWAY) as error:
                # They look by themselves before long.
                log.warning("store.notify_failed", error=type(error).__name__)

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except Exception as error:
                # Whatever it is: without the listener this node would wake late, for ever.
                log.warning("store.listen_failed", error=type(error).__name__)
            self.signals.fire_all()
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _listen_once(self) -> None:
        """Listen until the connection ends."""
        connection = await asyncpg.connect(self._url)
        ended = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _connection: ended.set())
            await connection.add_listener(_CHANNEL, lambda *_: self.signals.fire_all())
            await ended.wait()
        finally:
            await connection.close(timeout=1)


class _Batch:
    def __init__(self, entries: Sequence[OutboxEntry], connection: Any) -> None:
        self.entries = entries
        self._connection = connection

    async def mark_sent(self, seqs: Collection[int]) -> None:
        await self._connection.execute("DELETE FROM outbox WHERE seq = ANY($1)", list(seqs))


def _document_of(commit: Commit) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a commit as the JSON its statement takes apart, and the tables it inserts into."""
    rows = dict(rows_of(commit))
    document: dict[str, Any] = {
        name: [dict(zip(TABLES[name].columns, row, strict=True)) for row in found] for name, found in rows.items()
    }
    if commit.write is not None:
        document["task"] = commit.write.task
    gone = [relation._asdict() for operation, relation in commit.relations if operation is Operation.DELETE]
    if gone:
        document["gone"] = gone
    if commit.resolved is not None:
        document["resolved"] = commit.resolved
    return document, tuple(rows)


@contextmanager
def _meant() -> "Iterator[None]":
    """Turn the driver's errors into the port's."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise _TAKEN.get(str(error.table_name), VersionMismatchError) from error
    except _AWAY as error:
        raise ConnectionError(type(error).__name__) from error

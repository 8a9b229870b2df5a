"""A commit as rows of tables: the same for every SQL store."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import astuple

from channels.stores.records import Commit, TaskVersion
from channels.subjects import NoteAdded, SubjectRecord
from channels.tasks.model import Task

Row = Sequence[Any]

TASK_COLUMNS: Final = Task.__struct_fields__


class Table(NamedTuple):
    """Columns of a table that commits insert into, and what to do when the row is there already.

    ``key`` names the columns that make it the same row; ``replaces`` overwrites it, else it stays. Without ``key``
    a row that is there already is an error.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    replaces: bool = False


_RELATION: Final = ("object_type", "object_id", "relation", "subject_type", "subject_id", "subject_relation")

#: In the order they are written. The names of tables and columns are those of the migrations.
TABLES: Final[Mapping[str, Table]] = {
    "replies": Table(("actor", "key", "body_hash", "status", "body", "stored_at")),
    "inbox": Table(("event_id", "task_id", "version", "seen_at")),
    "task_versions": Table(
        (
            "task_id",
            "version",
            "event_id",
            "type",
            "changed_at",
            "changed_by",
            "changed_fields",
            "document",
            "resolution",
            "conflict_id",
        )
    ),
    "activity": Table(("id", "team_id", "type", "at", "document"), ("id",)),
    "notifications": Table(("id", "user_id", "document"), ("id",)),
    "subject_records": Table(("id", "subject_type", "subject_id", "at", "document")),
    "conflicts": Table(
        ("id", "task_id", "user_id", "expected_version", "current_version", "detected_at", "resolution", "resolved_at")
    ),
    "members": Table(("id", "name", "team_id"), ("id",), replaces=True),
    "service_requests": Table(("id", "name", "member_id", "status", "team_id"), ("id",), replaces=True),
    "users": Table(("id", "name", "role", "avatar_url"), ("id",), replaces=True),
    "teams": Table(("id", "name"), ("id",), replaces=True),
    "switches": Table(("name", "percentage", "teams", "changed_at"), ("name",), replaces=True),
    "relations": Table(_RELATION, _RELATION),
    "relation_changes": Table(("operation", *_RELATION)),
    "outbox": Table(("event_id", "type", "key", "payload", "created_at")),
}


def insert_sql(name: str, source: str) -> str:
    """Return the statement that inserts what ``source`` (``VALUES ...`` or a query) gives into table ``name``."""
    table = TABLES[name]
    statement = f"INSERT INTO {name} ({', '.join(table.columns)}) {source}"
    if not table.key:
        return statement
    others = [column for column in table.columns if column not in table.key]
    if not table.replaces:
        return f"{statement} ON CONFLICT ({', '.join(table.key)}) DO NOTHING"
    assignments = ", ".join(f"{column} = excluded.{column}" for column in others)
    return f"{statement} ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {assignments}"


def json_text(value: object) -> str:
    """Return ``value`` as JSON text."""
    return msgspec.json.encode(value).decode()


def task_row(task: Task) -> Row:
    """Return a task in the order of :data:`TASK_COLUMNS`."""
    return astuple(task)


def rows_of(commit: Commit) -> Iterator[tuple[str, list[Row]]]:
    """Yield the tables that a commit inserts into, with their rows; the task itself and deletions apart."""
    yield from _single_rows(commit)
    for name, records in (
        ("members", commit.members),
        ("service_requests", commit.service_requests),
        ("users", commit.users),
        ("teams", commit.teams),
    ):
        if records:
            yield name, [astuple(each) for each in records]
    if commit.switches:
        yield (
            "switches",
            [(each.name, each.percentage, json_text(each.teams), each.changed_at) for each in commit.switches],
        )
    if commit.relations:
        touched: list[Row] = [relation for operation, relation in commit.relations if operation == "touch"]
        if touched:
            yield "relations", touched
        yield "relation_changes", [(operation, *relation) for operation, relation in commit.relations]
    if commit.outgoing:
        yield "outbox", [astuple(each) for each in commit.outgoing]


def _single_rows(commit: Commit) -> Iterator[tuple[str, list[Row]]]:
    if commit.reply:
        yield "replies", [astuple(commit.reply)]
    if commit.inbox:
        yield "inbox", [astuple(commit.inbox)]
    if commit.version:
        yield "task_versions", [_version_row(commit.version)]
    if commit.activity:
        entry = commit.activity
        yield "activity", [(entry.id, entry.team_id, entry.type, entry.timestamp, json_text(entry))]
    if commit.notification:
        note = commit.notification
        yield "notifications", [(note.notification_id, note.user_id, json_text(note))]
    if commit.record:
        yield "subject_records", [_record_row(commit.record)]
    if commit.conflict:
        yield "conflicts", [astuple(commit.conflict)]


def _version_row(version: TaskVersion) -> Row:
    return (
        version.task_id,
        version.version,
        version.event_id,
        version.type,
        version.changed_at,
        json_text(version.changed_by),
        json_text(version.changed_fields),
        json_text(version.values),
        version.resolution,
        version.conflict_id,
    )


def _record_row(record: SubjectRecord) -> Row:
    subject = (
        (record.subject_type, record.subject_id) if isinstance(record, NoteAdded) else ("member", record.member_id)
    )
    return (record.id, *subject, record.at, json_text(record))

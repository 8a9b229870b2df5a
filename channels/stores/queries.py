"""What the stores read, as SQL that SQLite and PostgreSQL both understand; parameters are ``$1``, ``$2``, ..."""

# What is put into SQL as text here are names of our own; values are parameters.
# ruff: noqa: S608

from collections.abc import Mapping
from typing import Any, Final

from channels.stores.records import TaskQuery
from channels.stores.rows import TASK_COLUMNS

_TASK: Final = f"SELECT {', '.join(TASK_COLUMNS)} FROM tasks"
_VERSION: Final = "SELECT * FROM task_versions WHERE task_id = $1"

TASK: Final = f"{_TASK} WHERE id = $1"
TASK_VERSION: Final = f"{_VERSION} AND version = $2"
TASK_VERSIONS: Final = f"{_VERSION} AND version < $2 ORDER BY version DESC LIMIT $3"
KEPT: Final = """SELECT current_version, id AS conflict_id, user_id, resolved_at FROM conflicts
    WHERE task_id = $1 AND resolution = 'keep_theirs' AND current_version BETWEEN $2 AND $3
    ORDER BY resolved_at, id LIMIT 1000"""
HIGHEST_VERSION: Final = """SELECT max(version) AS version FROM (
    SELECT version FROM tasks WHERE id = $1 UNION ALL SELECT max(version) FROM inbox WHERE task_id = $1) AS known"""
KNOWS_EVENT: Final = """SELECT 1 AS known FROM task_versions WHERE event_id = $1
    UNION ALL SELECT 1 FROM inbox WHERE event_id = $1"""
REPLY: Final = "SELECT * FROM replies WHERE actor = $1 AND key = $2"
CONFLICT: Final = "SELECT * FROM conflicts WHERE id = $1"
MEMBER: Final = "SELECT * FROM members WHERE id = $1"
MEMBERS: Final = "SELECT * FROM members WHERE id > $1 ORDER BY id LIMIT $2"
SERVICE_REQUEST: Final = "SELECT * FROM service_requests WHERE id = $1"
SERVICE_REQUESTS: Final = "SELECT * FROM service_requests WHERE member_id = $1 AND id > $2 ORDER BY id LIMIT $3"
RECORDS: Final = """SELECT document FROM subject_records WHERE subject_type = $1 AND subject_id = $2
    ORDER BY at DESC, id DESC LIMIT $3"""
USER: Final = "SELECT id AS user_id, name AS user_name, role AS user_role, avatar_url FROM users WHERE id = $1"
TEAMS: Final = "SELECT * FROM teams ORDER BY id"
SWITCHES: Final = "SELECT * FROM switches ORDER BY name"
UNREAD_COUNT: Final = "SELECT count(*) AS unread FROM notifications WHERE user_id = $1 AND read_at IS NULL"
BACKLOG: Final = "SELECT count(*) AS waiting, min(created_at) AS oldest_at FROM outbox"
WAITING: Final = "SELECT * FROM outbox ORDER BY seq LIMIT $1"
SNAPSHOT_REVISION: Final = "SELECT coalesce(max(revision), 0) AS revision FROM relation_changes"
RELATIONS: Final = """SELECT object_type, object_id, relation, subject_type, subject_id, subject_relation
    FROM relations"""
OLDEST_CHANGE: Final = "SELECT coalesce(min(revision), 0) AS revision FROM relation_changes"
CHANGES: Final = "SELECT * FROM relation_changes WHERE revision > $1 ORDER BY revision LIMIT 1000"

#: Above every date, so that tasks without one come last.
_NO_DATE: Final = "9999-99-99"
_SORT_KEYS: Final[Mapping[str, str]] = {
    "due_date": f"coalesce(due_date, '{_NO_DATE}')",
    "priority": "CASE priority WHEN 'low' THEN 0 WHEN 'medium' THEN 1 WHEN 'high' THEN 2 ELSE 3 END",
    "created_at": "created_at",
    "last_modified_at": "last_modified_at",
    "title": "title",
}


class Arguments(list[Any]):
    """Collects the values of a statement's parameters."""

    def add(self, value: object) -> str:
        """Take a value and return the parameter that stands for it."""
        self.append(value)
        return f"${len(self)}"

    def any_of(self, values: tuple[Any, ...]) -> str:
        """Take several values and return the list that stands for them."""
        return f"({', '.join(self.add(str(value)) for value in values)})"


def tasks(query: TaskQuery) -> tuple[str, Arguments]:
    """Return the statement that reads a page of tasks, and its arguments."""
    arguments = Arguments()
    conditions = [*_filters(query, arguments)]
    key = _SORT_KEYS[query.sort]
    if query.after is not None:
        task_id = arguments.add(query.after.task_id)
        value = f"(SELECT title FROM tasks WHERE id = {task_id})"
        if query.after.value is not None:
            value = arguments.add(query.after.value)
        conditions.append(f"({key}, id) {'>' if query.order == 'asc' else '<'} ({value}, {task_id})")
    where = " AND ".join(conditions)
    limit = arguments.add(query.limit)
    # Values are parameters; what is put together here are our own names and keywords.
    return f"{_TASK} WHERE {where} ORDER BY {key} {query.order}, id {query.order} LIMIT {limit}", arguments


def _filters(query: TaskQuery, arguments: Arguments) -> list[str]:
    status = f"status IN {arguments.any_of(query.status)}" if query.status else "status <> 'deleted'"
    found = [status]
    for column in ("assigned_to", "member_id", "team_id"):
        value = getattr(query, column)
        if value is not None:
            found.append(f"{column} = {arguments.add(value)}")
    if query.priority:
        found.append(f"priority IN {arguments.any_of(query.priority)}")
    if query.due_from is not None:
        found.append(f"due_date >= {arguments.add(query.due_from)}")
    if query.due_to is not None:
        found.append(f"due_date <= {arguments.add(query.due_to)}")
    return found


def sort_value(query: TaskQuery, task: object) -> str | int | None:
    """Return what a page that ended with ``task`` goes on from; nothing for a title, which must not leave."""
    if query.sort == "title":
        return None
    value: str | None = getattr(task, query.sort)
    if query.sort == "priority":
        return ("low", "medium", "high", "urgent").index(str(value))
    return value if value is not None else _NO_DATE


def feed(
    table: str,
    owner: tuple[str, str],
    *,
    types: tuple[str, ...] = (),
    unread: bool = False,
    before: str | None,
    limit: int,
) -> tuple[str, Arguments]:
    """Return the statement that reads a page of a feed, the newest first, and its arguments.

    Args:
        table: ``activity``, of a team, or ``notifications``, of a user.
        owner: Column and value that say whose feed it is.
        types: Of activity; () for all.
        unread: Only notifications that were not read.
        before: The entry to stay below; None for the top. Below one of another feed there is nothing.
        limit: How many at most.
    """
    arguments = Arguments()
    of_owner = f"{owner[0]} = {arguments.add(owner[1])}"
    conditions = [of_owner]
    if before is not None:
        conditions.append(f"seq < (SELECT seq FROM {table} WHERE id = {arguments.add(before)} AND {of_owner})")
    if types:
        conditions.append(f"type IN {arguments.any_of(types)}")
    if unread:
        conditions.append("read_at IS NULL")
    where, rows = " AND ".join(conditions), arguments.add(limit)
    return f"SELECT * FROM {table} WHERE {where} ORDER BY seq DESC LIMIT {rows}", arguments

"""What every SQL store reads, over one method that each adapter brings."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from channels.activity import Activity, ActivityType
from channels.notifications import TaskAssigned
from channels.relations import Operation, Relation, RelationChange
from channels.stores import queries
from channels.stores.port import RelationsTrimmedError
from channels.stores.records import (
    Backlog,
    Conflict,
    FeatureSwitch,
    Kept,
    OutboxEntry,
    Outgoing,
    StoredReply,
    TaskQuery,
    TaskVersion,
    Team,
)
from channels.stores.signals import LOOK_AGAIN_S, Signals
from channels.subjects import Member, ServiceRequest, SubjectRecord
from channels.tasks.model import Task, User

Found = Mapping[str, Any]

#: Above every version.
_TOP: Final = 2**62

_user = msgspec.json.Decoder(User)
_task = msgspec.json.Decoder(Task)
_names = msgspec.json.Decoder(tuple[str, ...])
_activity = msgspec.json.Decoder(Activity)
_notification = msgspec.json.Decoder(TaskAssigned)
_record: msgspec.json.Decoder[SubjectRecord] = msgspec.json.Decoder(SubjectRecord)


class SqlReads(ABC):
    """The reading half of :class:`channels.stores.port.CareStore`; see there for what each method promises."""

    signals: Signals

    @abstractmethod
    async def _rows(self, sql: str, arguments: Sequence[Any] = ()) -> Sequence[Found]:
        """Return the rows of a query whose parameters are ``$1``, ``$2``, ..."""

    async def _first(self, sql: str, *arguments: object) -> Found | None:
        rows = await self._rows(sql, arguments)
        return rows[0] if rows else None

    async def task(self, task_id: str) -> Task | None:
        """See the port."""
        row = await self._first(queries.TASK, task_id)
        return None if row is None else _task_of(row)

    async def tasks(self, query: TaskQuery) -> Sequence[Task]:
        """See the port."""
        return [_task_of(row) for row in await self._rows(*queries.tasks(query))]

    async def task_version(self, task_id: str, version: int) -> TaskVersion | None:
        """See the port."""
        row = await self._first(queries.TASK_VERSION, task_id, version)
        return None if row is None else _version_of(row)

    async def task_versions(self, task_id: str, *, before: int | None, limit: int) -> Sequence[TaskVersion]:
        """See the port."""
        rows = await self._rows(queries.TASK_VERSIONS, (task_id, before or _TOP, limit))
        if not rows:
            return []
        kept: defaultdict[int, list[Kept]] = defaultdict(list)
        for row in await self._rows(queries.KEPT, (task_id, rows[-1]["version"], rows[0]["version"])):
            kept[row["current_version"]].append(msgspec.convert(dict(row), Kept))
        return [_version_of(row, kept[row["version"]]) for row in rows]

    async def highest_version(self, task_id: str) -> int:
        """See the port."""
        row = await self._first(queries.HIGHEST_VERSION, task_id)
        return (row and row["version"]) or 0

    async def knows_event(self, event_id: str) -> bool:
        """See the port."""
        return bool(await self._rows(queries.KNOWS_EVENT, (event_id,)))

    async def reply(self, actor: str, key: str) -> StoredReply | None:
        """See the port."""
        row = await self._first(queries.REPLY, actor, key)
        return None if row is None else StoredReply(**row)

    async def conflict(self, conflict_id: str) -> Conflict | None:
        """See the port."""
        row = await self._first(queries.CONFLICT, conflict_id)
        return None if row is None else msgspec.convert(dict(row), Conflict)

    async def member(self, member_id: str) -> Member | None:
        """See the port."""
        row = await self._first(queries.MEMBER, member_id)
        return None if row is None else Member(**row)

    async def members(self, *, after: str, limit: int) -> Sequence[Member]:
        """See the port."""
        return [Member(**row) for row in await self._rows(queries.MEMBERS, (after, limit))]

    async def service_request(self, request_id: str) -> ServiceRequest | None:
        """See the port."""
        row = await self._first(queries.SERVICE_REQUEST, request_id)
        return None if row is None else ServiceRequest(**row)

    async def service_requests(self, member_id: str, *, after: str, limit: int) -> Sequence[ServiceRequest]:
        """See the port."""
        rows = await self._rows(queries.SERVICE_REQUESTS, (member_id, after, limit))
        return [ServiceRequest(**row) for row in rows]

    async def records(self, subject_type: str, subject_id: str, *, limit: int) -> Sequence[SubjectRecord]:
        """See the port."""
        rows = await self._rows(queries.RECORDS, (subject_type, subject_id, limit))
        return [_record.decode(row["document"]) for row in rows]

    async def user(self, user_id: str) -> User | None:
        """See the port."""
        row = await self._first(queries.USER, user_id)
        return None if row is None else User(**row)

    async def teams(self) -> Sequence[Team]:
        """See the port."""
        return [Team(**row) for row in await self._rows(queries.TEAMS)]

    async def activity(
        self, team_id: str, *, types: Collection[ActivityType], before: str | None, limit: int
    ) -> Sequence[Activity]:
        """See the port."""
        kinds = tuple(sorted(types))
        query = queries.feed("activity", ("team_id", team_id), types=kinds, before=before, limit=limit)
        return [_activity.decode(row["document"]) for row in await self._rows(*query)]

    async def notifications(
        self, user_id: str, *, unread: bool, before: str | None, limit: int
    ) -> Sequence[TaskAssigned]:
        """See the port."""
        query = queries.feed("notifications", ("user_id", user_id), unread=unread, before=before, limit=limit)
        return [_notification_of(row) for row in await self._rows(*query)]

    async def unread_count(self, user_id: str) -> int:
        """See the port."""
        row = await self._first(queries.UNREAD_COUNT, user_id)
        return int(row["unread"]) if row else 0

    async def backlog(self) -> Backlog:
        """See the port."""
        row = await self._first(queries.BACKLOG)
        return Backlog(row["waiting"], row["oldest_at"]) if row else Backlog(0, None)

    async def switches(self) -> Sequence[FeatureSwitch]:
        """See the port."""
        rows = await self._rows(queries.SWITCHES)
        return [
            FeatureSwitch(
                name=row["name"],
                percentage=row["percentage"],
                teams=_names.decode(row["teams"]),
                changed_at=row["changed_at"],
            )
            for row in rows
        ]

    async def snapshot(self) -> tuple[int, Sequence[Relation]]:
        """See the port.

        The revision is read first: a change between the two reads is in the relations, and is told once more.
        """
        newest = await self._first(queries.SNAPSHOT_REVISION)
        rows = await self._rows(queries.RELATIONS)
        return (newest["revision"] if newest else 0), [Relation(**row) for row in rows]

    async def changes(self, after_revision: int) -> AsyncIterator[Sequence[RelationChange]]:
        """See the port."""
        oldest = await self._first(queries.OLDEST_CHANGE)
        if oldest and after_revision + 1 < oldest["revision"]:
            raise RelationsTrimmedError
        signal = self.signals.relations
        signal.followers += 1
        try:
            while True:
                seen = signal.count
                rows = await self._rows(queries.CHANGES, (after_revision,))
                if rows:
                    after_revision = rows[-1]["revision"]
                    yield [_change_of(row) for row in rows]
                else:
                    # Whoever asks for more has taken in what he was given.
                    signal.take_in(seen)
                    await signal.wait(seen, LOOK_AGAIN_S)
        finally:
            signal.followers -= 1


def entry_of(row: Found) -> OutboxEntry:
    """Return a row of the outbox as an entry."""
    return OutboxEntry(row["seq"], Outgoing(**{name: row[name] for name in Outgoing.__struct_fields__}))


def _task_of(row: Found) -> Task:
    return msgspec.convert(dict(row), Task)


def _version_of(row: Found, kept_over: Sequence[Kept] = ()) -> TaskVersion:
    return TaskVersion(
        task_id=row["task_id"],
        version=row["version"],
        event_id=row["event_id"],
        type=row["type"],
        changed_at=row["changed_at"],
        changed_by=_user.decode(row["changed_by"]),
        changed_fields=_names.decode(row["changed_fields"]),
        values=_task.decode(row["document"]),
        resolution=row["resolution"],
        conflict_id=row["conflict_id"],
        kept_over=tuple(kept_over),
    )


def _notification_of(row: Found) -> TaskAssigned:
    notification = _notification.decode(row["document"])
    return msgspec.structs.replace(notification, read=row["read_at"] is not None)


def _change_of(row: Found) -> RelationChange:
    relation = Relation(**{name: row[name] for name in Relation._fields})
    return RelationChange(row["revision"], Operation(row["operation"]), relation)

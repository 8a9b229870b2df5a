"""Events that come in: from other services, and our own on their way back from Kafka."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from bayeux_server.server.clock import Clock
from channels.schema import SchemaViolationError, check
from channels.services.commits import commit_of_event
from channels.stores.port import CareStore, EventKnownError, VersionMismatchError
from channels.tasks.absorb import absorb
from channels.tasks.events import TASK_EVENTS, TaskEvent, read_event
from channels.tasks.model import Task
from channels.timestamps import iso_utc_ms, normal_iso


class EventConsumer:
    """Gives each task event its effect once: task, version, activity, notification."""

    def __init__(self, store: CareStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def consume(self, document: Mapping[str, Any]) -> TaskEvent | None:
        """Take in a task event and return it as subscribers get it: whole, with what its routes need.

        An event that had its effect before is returned again, for it may not have been delivered then. None means
        that there is nothing to deliver: we have a newer version.

        Raises:
            SchemaViolationError: If it breaks its schema, or is not about the task it names.
            OSError: If the store cannot be reached; nothing is known of the effect then: try again.
        """
        event = _read(document)
        while True:
            if await self._store.knows_event(event.event_id):
                return await self._once_visible(await self._told_before(event))
            before = await self._store.task(event.task_id)
            if event.version <= await self._store.highest_version(event.task_id):
                return None
            after = absorb(before, event)
            whole = _whole(before, after, event)
            seen_at = iso_utc_ms(self._clock.wall())
            try:
                await self._store.commit(commit_of_event(before, after, whole, seen_at=seen_at))
            except (EventKnownError, VersionMismatchError):
                continue
            return await self._once_visible(whole)

    async def _once_visible(self, event: TaskEvent) -> TaskEvent:
        """Return the event once the relations written with it are known: shown before, it would be hidden from all."""
        await self._store.signals.relations.looked_at_again()
        return event

    async def _told_before(self, event: TaskEvent) -> TaskEvent:
        version = await self._store.task_version(event.task_id, event.version)
        if version is None:
            return event
        earlier = await self._store.task_versions(event.task_id, before=event.version, limit=1)
        return _whole(earlier[0].values if earlier else None, version.values, event)


def _read(document: Mapping[str, Any]) -> TaskEvent:
    """Return the event with its time as ours are written, if it is one and agrees with itself."""
    kind = document.get("type")
    if not isinstance(kind, str) or kind not in TASK_EVENTS:
        raise SchemaViolationError("task", "type", "enum", "string" if isinstance(kind, str) else "unknown")
    check(kind, document)
    event = read_event(document)
    if event.task.id != event.task_id:
        raise SchemaViolationError(event.type, "task.id", "task_id", "string")
    if event.task.version not in (UNSET, event.version):
        raise SchemaViolationError(event.type, "task.version", "version", "integer")
    try:
        return msgspec.structs.replace(event, timestamp=normal_iso(event.timestamp))
    except ValueError as error:
        raise SchemaViolationError(event.type, "timestamp", "moment", "string") from error


def _whole(before: Task | None, after: Task | None, event: TaskEvent) -> TaskEvent:
    """Return the event with the whole task; as it is, if the task cannot be known from it."""
    if after is None:
        return event
    left = before or after
    return msgspec.structs.replace(
        event,
        task=after,
        previous_assigned_to=_left(left.assigned_to, after.assigned_to),
        previous_team_id=_left(left.team_id, after.team_id),
        base_version=UNSET if left.version >= event.version - 1 else left.version,
    )


def _left(before: str | None, after: str | None) -> Any:
    return before if before is not None and before != after else UNSET

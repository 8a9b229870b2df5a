"""Events of tasks, in the design's shapes. Added: ``event_id``, ``version`` and the fields that routes need."""

from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from channels.tasks.model import Task, TaskStatus, User, changed_fields

CREATED: Final = "task.created"
UPDATED: Final = "task.updated"
ASSIGNED: Final = "task.assigned"
COMPLETED: Final = "task.completed"
DELETED: Final = "task.deleted"
TASK_EVENTS: Final = frozenset({CREATED, UPDATED, ASSIGNED, COMPLETED, DELETED})


class TaskFields(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a task that an event of another service carries. Unknown fields are dropped when it is read."""

    id: str
    title: str | UnsetType = UNSET
    member_id: str | UnsetType = UNSET
    member_name: str | UnsetType = UNSET
    notes: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    priority: str | UnsetType = UNSET
    version: int | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    last_modified_by: str | UnsetType = UNSET
    last_modified_by_name: str | UnsetType = UNSET
    last_modified_at: str | UnsetType = UNSET
    team_id: str | UnsetType = UNSET
    assigned_to: str | UnsetType = UNSET
    assigned_to_name: str | UnsetType = UNSET
    assigned_by: str | UnsetType = UNSET
    assigned_by_name: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    due_date: str | UnsetType = UNSET
    completed_at: str | UnsetType = UNSET
    completion_notes: str | UnsetType = UNSET


class TaskEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The design's ``TaskEvent``.

    Attributes:
        task: Whole in our events, maybe a part in those of other services.
        previous_assigned_to: Who had the task before, when that changed: they are told too.
        previous_team_id: Likewise the team.
        base_version: Which version it changed, where that is not the one right below.
        resolution: How a conflict was resolved by this change, with ``conflict_id``.
        changed_in: A name for the session it was changed in, if that is known: the one that needs no warning.
    """

    event_id: str
    type: str
    task_id: str
    version: int
    task: Task | TaskFields
    changed_fields: tuple[str, ...] | UnsetType = UNSET
    previous_assigned_to: str | UnsetType = UNSET
    previous_team_id: str | UnsetType = UNSET
    base_version: int | UnsetType = UNSET
    resolution: str | UnsetType = UNSET
    conflict_id: str | UnsetType = UNSET
    changed_by: User
    changed_in: str | UnsetType = UNSET
    timestamp: str


class _ForeignEvent(TaskEvent, frozen=True, kw_only=True, omit_defaults=True):
    task: TaskFields


class BaseMoved(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="task.base_moved"):
    """Tells a session that is editing ``base_version`` that there is a newer one, before it saves.

    Not the session ``changed_in``, which made it.
    """

    event_id: str
    task_id: str
    version: int
    base_version: int
    changed_fields: tuple[str, ...]
    changed_by: User
    changed_in: str | UnsetType = UNSET
    timestamp: str


def event_of(
    before: Task | None,
    after: Task,
    *,
    event_id: str,
    by: User,
    changed_in: str | None = None,
    resolution: tuple[str, str] | None = None,
) -> TaskEvent:
    """Return the one event that tells of a change; its time is ``after.last_modified_at``.

    ``before`` is None for a task that was created. ``resolution`` says how, and which conflict by its id, if the
    change resolved one.
    """
    how, conflict_id = resolution or (UNSET, UNSET)
    left = before or after
    return TaskEvent(
        event_id=event_id,
        type=_type_of(before, after),
        task_id=after.id,
        version=after.version,
        task=after,
        changed_fields=UNSET if before is None else changed_fields(before, after),
        previous_assigned_to=_previous(left.assigned_to, after.assigned_to),
        previous_team_id=_previous(left.team_id, after.team_id),
        resolution=how,
        conflict_id=conflict_id,
        changed_by=by,
        changed_in=changed_in or UNSET,
        timestamp=after.last_modified_at,
    )


def base_moved(event: TaskEvent) -> BaseMoved:
    """Return what a session that is editing the version below is told when ``event`` happens."""
    return BaseMoved(
        event_id=f"{event.event_id}-base",
        task_id=event.task_id,
        version=event.version,
        base_version=event.base_version or event.version - 1,
        changed_fields=event.changed_fields or (),
        changed_by=event.changed_by,
        changed_in=event.changed_in,
        timestamp=event.timestamp,
    )


def read_event(document: object) -> TaskEvent:
    """Return a decoded event that has passed its schema, without the fields we do not know."""
    return msgspec.convert(document, _ForeignEvent)


def _type_of(before: Task | None, after: Task) -> str:
    """The most telling of what happened: a change may assign, complete and edit at once, and is one event."""
    if before is None:
        return CREATED
    if after.status is not before.status and after.status in _STATUS_EVENTS:
        return _STATUS_EVENTS[after.status]
    return ASSIGNED if after.assigned_to != before.assigned_to else UPDATED


def _previous(before: str | None, after: str | None) -> str | UnsetType:
    return before if before is not None and before != after else UNSET


_STATUS_EVENTS: Final = {TaskStatus.COMPLETED: COMPLETED, TaskStatus.DELETED: DELETED}

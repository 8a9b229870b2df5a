"""What a task is, and who acts on it."""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class TaskStatus(StrEnum):
    """Where a task stands; which may follow which is in :mod:`channels.tasks.status`."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DELETED = "deleted"


class Priority(StrEnum):
    """How urgent a task is; declared in rising order."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class User(Struct, frozen=True, omit_defaults=True):
    """A member of staff, or a service, as events name them (``changed_by``, ``actor``)."""

    user_id: str
    user_name: str
    user_role: str
    avatar_url: str | None = None


#: Who acts when nobody does: imports and automation.
SYSTEM: Final = User("system", "CareFlow Automation", "system")


class Task(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task at one version. On the wire a field without a value is left out.

    Attributes:
        version: 1 when created, one more with every change.
        due_date: ``YYYY-MM-DD``.
        reason: Why it was last assigned.
        completed_at: ISO 8601, UTC, milliseconds, as every ``_at``.

    Source: the design's ``Task`` and its examples.
    """

    id: str
    title: str
    member_id: str
    member_name: str
    notes: str
    status: TaskStatus
    priority: Priority
    version: int
    created_by: str
    created_at: str
    last_modified_by: str
    last_modified_at: str
    team_id: str | None = None
    assigned_to: str | None = None
    assigned_to_name: str | None = None
    assigned_by: str | None = None
    assigned_by_name: str | None = None
    reason: str | None = None
    due_date: str | None = None
    completed_at: str | None = None
    completion_notes: str | None = None
    last_modified_by_name: str | None = None


#: Fields whose change is told, in the order ``changed_fields`` lists them. The rest follows from these.
TOLD_FIELDS: Final = (
    "title",
    "notes",
    "status",
    "priority",
    "due_date",
    "team_id",
    "assigned_to",
    "reason",
    "completion_notes",
)


def changed_fields(before: Task, after: Task) -> tuple[str, ...]:
    """Return the names of the fields that differ, of those whose change is told."""
    return tuple(name for name in TOLD_FIELDS if getattr(before, name) != getattr(after, name))

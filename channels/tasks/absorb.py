"""What a task becomes by an event of another service, whose word is taken for it."""

from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict, replace

from channels.notifications import UNKNOWN_MEMBER
from channels.tasks.events import ASSIGNED, DELETED, TaskEvent
from channels.tasks.model import Priority, Task, TaskStatus


def absorb(before: Task | None, event: TaskEvent) -> Task | None:
    """Return the task after ``event``; None if we have none and the event says too little to know it by.

    What the event does not say stays. An assignment that names nobody takes the task back.
    """
    told = {name: value for name, value in asdict(event.task).items() if value is not UNSET}
    told |= {
        "version": event.version,
        "last_modified_by": event.changed_by.user_id,
        "last_modified_by_name": event.changed_by.user_name,
        "last_modified_at": event.timestamp,
    }
    if event.type == ASSIGNED and "assigned_to" not in told:
        told |= {"assigned_to": None, "assigned_to_name": None}
    if event.type == DELETED:
        told["status"] = TaskStatus.DELETED
    if before is not None:
        return msgspec.convert(asdict(replace(before, **told)), Task)
    return _first(told, event)


def _first(told: dict[str, Any], event: TaskEvent) -> Task | None:
    if "title" not in told or "member_id" not in told:
        return None
    unsaid = {
        "member_name": UNKNOWN_MEMBER,
        "notes": "",
        "status": TaskStatus.PENDING,
        "priority": Priority.MEDIUM,
        "created_by": event.changed_by.user_id,
        "created_at": event.timestamp,
    }
    return msgspec.convert(unsaid | told, Task)

"""Notifications: what one user is told. Stored before it is sent, so that nobody misses one by being away. Pure."""

from typing import Final

from msgspec import UNSET, Struct, UnsetType

from channels.tasks.events import ASSIGNED, CREATED, TaskEvent
from channels.tasks.model import Priority

TASK_ASSIGNED: Final = "notification.task_assigned"
READ: Final = "notification.read"


class Assigner(Struct, frozen=True):
    """Who assigned, as the design's notification names them."""

    user_id: str
    user_name: str


class TaskAssigned(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=TASK_ASSIGNED):
    """The design's ``TaskAssignmentNotification``.

    Attributes:
        notification_id: To mark it read by; ``event_id`` is the same.
        user_id: Whose it is.
        message: From who assigned.
        read: Whether it was read; always told by lists, never by the event.
    """

    event_id: str
    notification_id: str
    user_id: str
    task_id: str
    version: int
    task_title: str
    member_id: str
    member_name: str
    assigned_by: Assigner
    priority: str
    timestamp: str
    due_date: str | None = None
    message: str | None = None
    read: bool | None = None


class NotificationsRead(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=READ):
    """Tells a user's tabs what was read in one of them; without ``notification_ids``, all."""

    event_id: str
    user_id: str
    unread_count: int
    timestamp: str
    notification_ids: tuple[str, ...] | UnsetType = UNSET


def notification_of(event: TaskEvent, message: str | None = None) -> TaskAssigned | None:
    """Return the notification that an event causes; None if nobody new was given the task, or somebody took it.

    Args:
        event: Of ours or of another service.
        message: From who assigned; the reason of the assignment stands in for it.
    """
    task = event.task
    if event.type not in (ASSIGNED, CREATED) or not task.assigned_to or task.assigned_to == event.changed_by.user_id:
        return None
    notification_id = f"notification_{event.event_id}"
    return TaskAssigned(
        event_id=notification_id,
        notification_id=notification_id,
        user_id=task.assigned_to,
        task_id=event.task_id,
        version=event.version,
        task_title=task.title or event.task_id,
        member_id=task.member_id or UNKNOWN_MEMBER,
        member_name=task.member_name or UNKNOWN_MEMBER,
        assigned_by=Assigner(event.changed_by.user_id, event.changed_by.user_name),
        priority=task.priority or Priority.MEDIUM,
        timestamp=event.timestamp,
        due_date=task.due_date or None,
        message=message or task.reason or None,
    )


#: In the place of the member where another service's event names none and we do not know the task either.
UNKNOWN_MEMBER: Final = "unknown"

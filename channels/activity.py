"""Activity: what the feed says of an event or a record. One pure function derives it."""

from collections.abc import Mapping
from functools import singledispatch
from typing import Any, Final, Literal

from msgspec import Struct

from channels.subjects import MemberContacted, NoteAdded, SubjectRecord
from channels.tasks.events import ASSIGNED, COMPLETED, CREATED, DELETED, UPDATED, TaskEvent
from channels.tasks.model import User

#: Characters of a note that the feed shows; what is cut ends in three dots, as in the design's example.
PREVIEW_CHARACTERS: Final = 80

ActivityType = Literal[
    "task_created", "task_updated", "task_assigned", "task_completed", "note_added", "member_contacted"
]


class Subject(Struct, frozen=True):
    """What an activity was done to. ``name`` is a task's title, a member's name or a service request's."""

    type: Literal["task", "member", "service_request"]
    id: str
    name: str


class Activity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The design's ``ActivityEvent``.

    Attributes:
        event_id: The same as ``id``: every event has one.
        team_id: Whose feed it is in.
        version: The task's; missing if it is not about a task.
        member_id: Whom it is about; who may not see their PHI gets the entry redacted.
        action_description: Lower-case words; names are in ``actor``, ``subject`` and ``details``.
    """

    id: str
    event_id: str
    type: ActivityType
    team_id: str
    actor: User
    subject: Subject
    action_description: str
    timestamp: str
    version: int | None = None
    member_id: str | None = None
    details: dict[str, Any] | None = None


#: Event type to the type of its activity, and what was done. The design has no type for a deletion: it is an update.
_OF_EVENT: Final[Mapping[str, tuple[ActivityType, str]]] = {
    CREATED: ("task_created", "created task"),
    UPDATED: ("task_updated", "updated task"),
    ASSIGNED: ("task_assigned", "assigned task"),
    COMPLETED: ("task_completed", "completed task"),
    DELETED: ("task_updated", "deleted task"),
}
_TO_YOU: Final = "assigned task to you"


@singledispatch
def activity_of(cause: TaskEvent | SubjectRecord) -> Activity | None:
    """Return the feed's entry of an event or record; None if it belongs to no team, for then no feed shows it.

    The id follows from the cause's: derived again, it is the same entry.
    """
    raise TypeError(type(cause).__name__)


@activity_of.register
def _of_task(event: TaskEvent) -> Activity | None:
    task = event.task
    if not task.team_id:
        return None
    kind, description = _OF_EVENT[event.type]
    details: dict[str, Any] = {"changed_fields": event.changed_fields} if event.changed_fields else {}
    if "notes" in (event.changed_fields or ()) and task.notes:
        details["note_preview"] = preview(task.notes)
    if event.type == ASSIGNED and task.assigned_to:
        details |= {"assigned_to": task.assigned_to, "assigned_to_name": task.assigned_to_name or task.assigned_to}
    elif event.type == ASSIGNED:
        description = "unassigned task"
    return Activity(
        id=_id(event.event_id),
        event_id=_id(event.event_id),
        type=kind,
        team_id=task.team_id,
        actor=event.changed_by,
        subject=Subject("task", task.id, task.title or task.id),
        action_description=description,
        timestamp=event.timestamp,
        version=event.version,
        member_id=task.member_id or None,
        details=details or None,
    )


@activity_of.register
def _of_note(note: NoteAdded) -> Activity | None:
    subject = Subject(note.subject_type, note.subject_id, note.name)
    return _of_record(note, "note_added", subject, "added a note", {"note_preview": preview(note.text)})


@activity_of.register
def _of_contact(contact: MemberContacted) -> Activity | None:
    details = {"method": contact.method, "outcome": contact.outcome}
    if contact.note:
        details["note_preview"] = preview(contact.note)
    subject = Subject("member", contact.member_id, contact.name)
    return _of_record(contact, "member_contacted", subject, "contacted member", details)


def _of_record(
    record: SubjectRecord, kind: ActivityType, subject: Subject, description: str, details: dict[str, Any]
) -> Activity | None:
    if record.team_id is None:
        return None
    return Activity(
        id=_id(record.id),
        event_id=_id(record.id),
        type=kind,
        team_id=record.team_id,
        actor=record.by,
        subject=subject,
        action_description=description,
        timestamp=record.at,
        member_id=record.member_id,
        details=details,
    )


def preview(text: str) -> str:
    """Return at most :data:`PREVIEW_CHARACTERS` of a note, on one line, and three dots where it was cut."""
    line = " ".join(text.split())
    return line if len(line) <= PREVIEW_CHARACTERS else line[:PREVIEW_CHARACTERS] + "..."


def addressee_of(entry: Mapping[str, Any]) -> str | None:
    """Return the one reader who has words of their own for an entry of the feed: who was given the task. Or None."""
    details = entry.get("details")
    if entry.get("type") != "task_assigned" or not isinstance(details, Mapping):
        return None
    assignee = details.get("assigned_to")
    return assignee if isinstance(assignee, str) else None


def in_words_for(user_id: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an entry in the words for one reader: "assigned task to you", as in the design's example."""
    return {**entry, "action_description": _TO_YOU} if addressee_of(entry) == user_id else entry


def _id(cause_id: str) -> str:
    return f"activity_{cause_id}"

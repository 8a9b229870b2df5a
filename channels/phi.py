"""The one table that says what is PHI, and what of everything else a redacted view may carry.

Fields marked ``PHI`` are named so that the table is complete; a field that is not named at all is treated the same.

Why so strict: HIPAA's de-identification rule (45 CFR 164.514(b)(2)) removes names, record numbers and any other unique
identifier, and free text may hold each of them. Staff names, work states and the dates of the work itself stay.
"""

from collections.abc import Mapping
from typing import Final

from channels.redaction import (
    ACTION,
    CODE,
    FIELD_PATH,
    FLAG,
    IDENTIFIER,
    INTEGER,
    PHI,
    SENTENCE,
    STAFF_NAME,
    TIMESTAMP,
    URL,
    Rule,
    Shape,
    either,
    list_of,
    map_of,
)


def _subject(value: object) -> object:
    """A feed entry's subject: a patient's own id is as telling as the name, a task's is not."""
    if isinstance(value, Mapping) and value.get("type") == "member":
        return _MEMBER_SUBJECT(value)
    return _SUBJECT(value)


_SUBJECT: Final = Shape({"type": CODE, "id": IDENTIFIER, "name": PHI})
_MEMBER_SUBJECT: Final = Shape({"type": CODE, "id": PHI, "name": PHI})

ENVELOPE: Final[Mapping[str, Rule]] = {"type": CODE, "event_id": IDENTIFIER, "timestamp": TIMESTAMP}

ACTOR: Final = Shape({"user_id": IDENTIFIER, "user_name": STAFF_NAME, "user_role": CODE, "avatar_url": URL})

TASK: Final = Shape(
    {
        "id": IDENTIFIER,
        "version": INTEGER,
        "status": CODE,
        "priority": CODE,
        "team_id": IDENTIFIER,
        "assigned_to": IDENTIFIER,
        "assigned_to_name": STAFF_NAME,
        "assigned_by": IDENTIFIER,
        "assigned_by_name": STAFF_NAME,
        "due_date": TIMESTAMP,
        "created_at": TIMESTAMP,
        "created_by": IDENTIFIER,
        "completed_at": TIMESTAMP,
        "completed_by": IDENTIFIER,
        "last_modified_at": TIMESTAMP,
        "last_modified_by": IDENTIFIER,
        "last_modified_by_name": STAFF_NAME,
        "title": PHI,
        "description": PHI,
        "notes": PHI,
        "completion_notes": PHI,
        "reason": PHI,
        "member_id": PHI,
        "member_name": PHI,
    },
    marked=True,
)

_CHANGED_FIELDS: Final = either(list_of(CODE), map_of(list_of(CODE)))

TASK_EVENT: Final = Shape(
    {
        **ENVELOPE,
        "task_id": IDENTIFIER,
        "team_id": IDENTIFIER,
        "version": INTEGER,
        "base_version": INTEGER,
        "current_version": INTEGER,
        "task": TASK,
        "changed_fields": _CHANGED_FIELDS,
        "changed_by": ACTOR,
        "changed_in": IDENTIFIER,
        "previous_assigned_to": IDENTIFIER,
        "previous_team_id": IDENTIFIER,
        "resolution": CODE,
        "conflict_id": IDENTIFIER,
        "member_id": PHI,
        "member_name": PHI,
        "reason": PHI,
    },
    marked=True,
)

_KEPT: Final = Shape({"conflict_id": IDENTIFIER, "user_id": IDENTIFIER, "resolved_at": TIMESTAMP})

TASK_VERSION: Final = Shape(
    {
        "task_id": IDENTIFIER,
        "version": INTEGER,
        "changed_at": TIMESTAMP,
        "changed_by": either(IDENTIFIER, ACTOR),
        "changed_by_name": STAFF_NAME,
        "changed_fields": _CHANGED_FIELDS,
        "values": TASK,
        "before": TASK,
        "after": TASK,
        "resolution": CODE,
        "conflict_id": IDENTIFIER,
        "kept_over": list_of(_KEPT),
    },
    marked=True,
)

CONFLICT: Final = Shape(
    {
        "error": CODE,
        "message": SENTENCE,
        "task_id": IDENTIFIER,
        "conflict_id": IDENTIFIER,
        "current_version": INTEGER,
        "expected_version": INTEGER,
        "current_task": TASK,
        "base_task": TASK,
        "merged_task": TASK,
        "your_changes": TASK,
        "their_changes": TASK,
        "changed_fields": _CHANGED_FIELDS,
        "your_changed_fields": _CHANGED_FIELDS,
        "their_changed_fields": _CHANGED_FIELDS,
        "conflicting_fields": _CHANGED_FIELDS,
        "mergeable": FLAG,
        "modified_by": STAFF_NAME,
        "modified_at": TIMESTAMP,
    },
    marked=True,
)

_CURSOR: Final = Shape({"field_name": CODE, "field_index": INTEGER})
_LOCK: Final = Shape(
    {
        "field_name": CODE,
        "user_id": IDENTIFIER,
        "user_name": STAFF_NAME,
        "token": INTEGER,
        "expires_at": TIMESTAMP,
        "reason": PHI,
    }
)
_PRESENCE: Final[Mapping[str, Rule]] = {
    "task_id": IDENTIFIER,
    "user_id": IDENTIFIER,
    "user_name": STAFF_NAME,
    "user_role": CODE,
    "avatar_url": URL,
    "state": CODE,
    "old_state": CODE,
    "new_state": CODE,
    "field_name": CODE,
    "field_index": INTEGER,
    "cursor_position": _CURSOR,
    "last_active": TIMESTAMP,
    "version": INTEGER,
    "count": INTEGER,
    "counts": map_of(INTEGER),
    "token": INTEGER,
    "expires_at": TIMESTAMP,
    "holder": either(IDENTIFIER, ACTOR),
    "previous_holder": either(IDENTIFIER, ACTOR),
    "lock": _LOCK,
    "locks": either(list_of(_LOCK), map_of(_LOCK)),
    "locked_fields": list_of(CODE),
    "ended": CODE,
    "reason": PHI,
}
PRESENCE_INFO: Final = Shape(_PRESENCE)
PRESENCE_EVENT: Final = Shape(
    {**ENVELOPE, **_PRESENCE, "user": PRESENCE_INFO, "users": list_of(PRESENCE_INFO)}, marked=True
)

_DETAILS: Final = Shape(
    {
        "changed_fields": _CHANGED_FIELDS,
        "version": INTEGER,
        "status": CODE,
        "assigned_to": IDENTIFIER,
        "assigned_to_name": STAFF_NAME,
        "method": CODE,
        "note_preview": PHI,
        "outcome": PHI,
        "member_id": PHI,
    }
)
ACTIVITY: Final = Shape(
    {
        **ENVELOPE,
        "id": IDENTIFIER,
        "team_id": IDENTIFIER,
        "version": INTEGER,
        "actor": ACTOR,
        "subject": _subject,
        "action_description": ACTION,
        "details": _DETAILS,
        "member_id": PHI,
    },
    marked=True,
)

NOTIFICATION: Final = Shape(
    {
        **ENVELOPE,
        "id": IDENTIFIER,
        "notification_id": IDENTIFIER,
        "notification_ids": list_of(IDENTIFIER),
        "user_id": IDENTIFIER,
        "task_id": IDENTIFIER,
        "version": INTEGER,
        "assigned_by": ACTOR,
        "priority": CODE,
        "due_date": TIMESTAMP,
        "read": FLAG,
        "read_at": TIMESTAMP,
        "created_at": TIMESTAMP,
        "unread_count": INTEGER,
        "task_title": PHI,
        "member_id": PHI,
        "member_name": PHI,
        "message": PHI,
    },
    marked=True,
)

MEMBER: Final = Shape(
    {"team_id": IDENTIFIER, "id": PHI, "name": PHI, "member_id": PHI, "member_name": PHI}, marked=True
)

SERVICE_REQUEST: Final = Shape({"id": IDENTIFIER, "status": CODE, "member_id": PHI, "name": PHI}, marked=True)

ERROR: Final = Shape(
    {
        "error": CODE,
        "code": either(CODE, INTEGER),
        "status": INTEGER,
        "message": SENTENCE,
        "field": FIELD_PATH,
        "reason": CODE,
        "rule": CODE,
        "value_type": CODE,
        "value": PHI,
    },
    marked=True,
)

DEAD_LETTER: Final = Shape(
    {
        "id": either(IDENTIFIER, INTEGER),
        "topic": IDENTIFIER,
        "partition": INTEGER,
        "offset": INTEGER,
        "timestamp": TIMESTAMP,
        "timestamp_ms": INTEGER,
        "error_class": CODE,
        "field": FIELD_PATH,
        "rule": CODE,
        "value_type": CODE,
        "attempts": INTEGER,
        "key": PHI,
        "value": PHI,
        "headers": PHI,
        "message": PHI,
    },
    marked=True,
)

#: What a kind that nobody described may show: that it happened.
UNKNOWN: Final = Shape(ENVELOPE, marked=True)

#: Kind of event or object -> its shape. A kind ending in a dot stands for every kind that begins so.
SHAPES: Final[Mapping[str, Shape]] = {
    "task": TASK,
    "task.": TASK_EVENT,
    "task_version": TASK_VERSION,
    "conflict": CONFLICT,
    "presence": PRESENCE_INFO,
    "presence.": PRESENCE_EVENT,
    "lock.": PRESENCE_EVENT,
    "activity": ACTIVITY,
    "notification": NOTIFICATION,
    "notification.": NOTIFICATION,
    "member": MEMBER,
    "service_request": SERVICE_REQUEST,
    "error": ERROR,
    "dead_letter": DEAD_LETTER,
    **dict.fromkeys(
        ("task_created", "task_updated", "task_assigned", "task_completed", "note_added", "member_contacted"), ACTIVITY
    ),
}

#: Names of the fields that are PHI somewhere; what logs and metrics must not carry under these names.
PHI_FIELDS: Final = frozenset(
    name
    for shape in (*SHAPES.values(), _LOCK, _SUBJECT, _DETAILS)
    for name, rule in shape.fields.items()
    if rule is PHI
)


def shape_of(kind: str) -> Shape:
    """Return the shape of an event type or object kind; ``UNKNOWN`` for one that nobody described."""
    return SHAPES.get(kind) or SHAPES.get(kind.partition(".")[0] + "." if "." in kind else kind) or UNKNOWN

"""Which view of an event or object a user gets: hidden, redacted or full. Pure; the table is in :mod:`channels.phi`.

An event's :class:`ViewNeeds` depend on the event and its channel alone, so they are found once per publication; each
asker then costs two or three dictionary look-ups, and each view is redacted and encoded once.
"""

from collections.abc import Mapping, MutableMapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

from bayeux_server.protocol.channel_id import ChannelId
from channels.phi import PHI_FIELDS, shape_of
from channels.policy import (
    CARE_ROOTS,
    NEVER,
    Decide,
    Need,
    Permission,
    Principal,
    decided,
    own,
    view_phi,
    view_task,
    view_team,
)
from channels.redaction import CODE


class View(IntEnum):
    """How much is shown. Ordered: more is greater."""

    HIDDEN = 0
    REDACTED = 1
    FULL = 2


class ViewNeeds(NamedTuple):
    """What decides a view: all of ``visible`` to see anything, all of ``full`` to see it whole, else ``otherwise``."""

    visible: tuple[Need, ...]
    full: tuple[Need, ...]
    otherwise: View = View.REDACTED


def without_phi(needs: ViewNeeds) -> ViewNeeds:
    """Return what decides the view of an event that has nothing to redact: to see it at all is to see it whole."""
    return needs._replace(full=()) if needs.otherwise is View.REDACTED else needs


NOBODY: Final = ViewNeeds((NEVER,), (NEVER,))


def redact(kind: str, payload: Mapping[str, object]) -> dict[str, object]:
    """Return what the redacted view of an event or object shows.

    Args:
        kind: The event's ``type``, or ``task``, ``task_version``, ``conflict``, ``presence``, ``activity``,
            ``notification``, ``member``, ``service_request``, ``error``, ``dead_letter``. Of any other kind no more
            passes than type, event id and time.
        payload: Never changed. Redacting twice is redacting once.
    """
    return shape_of(kind).redacted(payload)


def shown(view: View, kind: str, payload: Mapping[str, object]) -> Mapping[str, object] | None:
    """Return a payload as a view shows it; None if it is hidden."""
    if view is View.FULL:
        return payload
    return redact(kind, payload) if view is View.REDACTED else None


def view_of(principal: Principal | None, needs: ViewNeeds, decide: Decide) -> View | None:
    """Return the view one asker gets; None while a decision is not known yet."""
    visible = _all(principal, needs.visible, decide)
    if not visible:
        return visible if visible is None else View.HIDDEN
    full = _all(principal, needs.full, decide)
    if full is None:
        return None
    return View.FULL if full else needs.otherwise


def _all(principal: Principal | None, needs: tuple[Need, ...], decide: Decide) -> bool | None:
    answer: bool | None = True
    for need in needs:
        decision = decided(principal, need, decide)
        if decision is False:
            return False
        if decision is None:
            answer = None
    return answer


def event_needs(channel: ChannelId, payload: object) -> ViewNeeds | None:
    """Return what decides the view of an event on a channel; None if the channel is not of the care layer.

    An event that does not say what it is about, or says something else than its channel, is shown to nobody.
    """
    if channel.segments[0] not in CARE_ROOTS:
        return None
    if not isinstance(payload, Mapping):
        return NOBODY
    match channel.segments:
        case ("task", task_id) | ("task", task_id, "presence"):
            return _of_task(payload) if payload.get("task_id") == task_id else NOBODY
        case ("task_list", "assigned_to", user_id):
            return _of_assignee(payload, user_id)
        case ("task_list", "member", member_id):
            return _of_member_list(payload, member_id)
        case ("task_list", "team", team_id):
            return _of_list(payload, view_team(team_id), left=payload.get("previous_team_id") == team_id)
        case ("notifications", user_id):
            return ViewNeeds((own(user_id),), _full_needs(payload))
        case ("activity_feed", team_id):
            return _of_activity({"team_id": team_id, **payload}) if _is(payload, "team_id", team_id) else NOBODY
        case _:
            return NOBODY


def object_needs(kind: str, payload: Mapping[str, object]) -> ViewNeeds:
    """Return what decides the view of an object that is answered to a request: a row, a list's member, a conflict.

    Args:
        kind: As for :func:`redact`.
        payload: A task by its ``id``; everything else by ``task_id``, ``subject`` or ``member_id``.
    """
    if kind in ("member", "service_request"):
        # Without PHI rights there is nothing to know of a patient, not even that they are one.
        return ViewNeeds(_full_needs({"member_id": payload.get("id"), **payload} if kind == "member" else payload), ())
    if kind == "activity":
        return _of_activity(payload)
    if kind == "notification":
        user_id = payload.get("user_id")
        return ViewNeeds((own(user_id),), _full_needs(payload)) if isinstance(user_id, str) else NOBODY
    if kind == "conflict":
        return _of_task({"task": payload.get("current_task"), **payload})
    return _of_task({"task_id": payload.get("id"), **payload} if kind == "task" else payload)


def task_id_of(payload: Mapping[str, object]) -> str | None:
    """Return the id of the task that an event or object is about."""
    for candidate in (payload.get("task_id"), _inner(payload, "task").get("id"), _subject_id(payload, "task")):
        if isinstance(candidate, str) and candidate:
            return candidate
    return None


def member_ids_of(payload: Mapping[str, object]) -> tuple[str, ...]:
    """Return the ids of the patients that an event or object names, without doubles."""
    candidates = (
        payload.get("member_id"),
        _inner(payload, "task").get("member_id"),
        _inner(payload, "details").get("member_id"),
        _subject_id(payload, "member"),
    )
    return tuple(dict.fromkeys(each for each in candidates if isinstance(each, str) and each))


def _of_task(payload: Mapping[str, object]) -> ViewNeeds:
    task_id = task_id_of(payload)
    return ViewNeeds((view_task(task_id),), _full_needs(payload)) if task_id else NOBODY


def _full_needs(payload: Mapping[str, object]) -> tuple[Need, ...]:
    """PHI rights on every patient named; where none is named, on the task's patient as the relations know them."""
    members = member_ids_of(payload)
    if members:
        return tuple(map(view_phi, members))
    task_id = task_id_of(payload)
    return (Need(Permission.VIEW_PHI, "task", task_id),) if task_id else (NEVER,)


def _of_assignee(payload: Mapping[str, object], user_id: str) -> ViewNeeds:
    return _of_list(payload, own(user_id), left=payload.get("previous_assigned_to") == user_id)


def _of_list(payload: Mapping[str, object], need: Need, *, left: bool) -> ViewNeeds:
    needs = _of_task(payload)
    if needs is NOBODY:
        return NOBODY
    if left:
        # Who had the task may see it no more, but must hear that it is gone: that, and nothing of the patient.
        return ViewNeeds((need,), (*needs.visible, *needs.full))
    return needs._replace(visible=(need, *needs.visible))


def _of_member_list(payload: Mapping[str, object], member_id: str) -> ViewNeeds:
    named = member_ids_of(payload)
    if named and named != (member_id,):
        return NOBODY
    # The channel's own name says whose tasks these are, so that no redacted form of an event on it exists.
    needs = _of_task(payload)
    return ViewNeeds((*needs.visible, view_phi(member_id)), needs.full, View.HIDDEN)


def _of_activity(payload: Mapping[str, object]) -> ViewNeeds:
    task_id = task_id_of(payload)
    team_id = payload.get("team_id")
    team = (view_team(team_id),) if isinstance(team_id, str) else ()
    visible = (*team, view_task(task_id)) if task_id else team
    return ViewNeeds(visible or (NEVER,), _full_needs(payload))


def _is(payload: Mapping[str, object], name: str, expected: str) -> bool:
    return payload.get(name, expected) == expected


def _inner(payload: Mapping[str, object], name: str) -> Mapping[str, object]:
    inner = payload.get(name)
    return inner if isinstance(inner, Mapping) else {}


def _subject_id(payload: Mapping[str, object], subject_type: str) -> object:
    subject = _inner(payload, "subject")
    return subject.get("id") if subject.get("type") == subject_type else None


#: Names that are PHI in an event but ordinary words in a log line; they may carry a code there, nothing else.
_WORDS: Final = frozenset({"reason", "message", "name", "id", "key", "value", "headers"})
#: What structlog itself passes along a chain of processors.
_LOGGING_OWN: Final = frozenset({"exc_info", "stack_info", "positional_args"})


def scrub_log(_logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Take PHI out of a log line: a structlog processor, the last one before rendering.

    Values under a PHI field's name, and whole payloads (objects, lists, bytes) under any name, become ``[redacted]``.
    """
    return {name: value if _may_log(name, value) else "[redacted]" for name, value in event.items()}


def _may_log(name: str, value: object) -> bool:
    if name in _LOGGING_OWN or name.startswith("_"):
        return True
    if isinstance(value, Mapping | list | tuple | set | bytes | bytearray | memoryview):
        return False
    return name not in PHI_FIELDS or (name in _WORDS and (not isinstance(value, str) or CODE(value) is value))


def metric_label(value: object, allowed: frozenset[str]) -> str:
    """Return ``value`` if it is one of ``allowed``, else ``other``: a metric's labels are few, and never PHI."""
    return value if isinstance(value, str) and value in allowed else "other"

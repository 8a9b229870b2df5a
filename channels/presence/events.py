"""Presence as subscribers get it: the design's shapes, plus ``event_id`` and ``version``.

``version`` belongs to the task's presence, not to the task: each told change is one higher than the one before.
A client that misses a number asks for a snapshot. Cursors carry no version: the latest wins and none is owed.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from channels.presence.model import CursorPosition, PresenceState
from channels.timestamps import iso_utc_ms


def iso(at_ms: int) -> str:
    """Return a moment as ISO 8601 in UTC with milliseconds, such as ``2025-11-13T10:00:00.000Z``."""
    return iso_utc_ms(at_ms / 1000)


def event_id(task_id: str, version: int) -> str:
    """Return the id of a versioned presence event: the same however often, and from whichever node, it is sent."""
    return f"presence-{task_id}-{version}"


class JoinedUser(Struct, frozen=True, omit_defaults=True):
    """The person of a ``presence.user_joined``, with the state they joined in."""

    user_id: str
    user_name: str
    user_role: str
    state: PresenceState
    avatar_url: str | None = None


class UserJoined(Struct, frozen=True, tag_field="type", tag="presence.user_joined"):
    """A person came to the task."""

    task_id: str
    user: JoinedUser
    timestamp: str
    event_id: str
    version: int


class UserLeft(Struct, frozen=True, tag_field="type", tag="presence.user_left"):
    """The last session of a person left the task."""

    task_id: str
    user_id: str
    timestamp: str
    event_id: str
    version: int


class StateChanged(Struct, frozen=True, tag_field="type", tag="presence.state_changed"):
    """The strongest state of a person's sessions changed."""

    task_id: str
    user_id: str
    old_state: PresenceState
    new_state: PresenceState
    timestamp: str
    event_id: str
    version: int


class Typing(Struct, frozen=True, tag_field="type", tag="presence.typing"):
    """A person began to type in a field, or went on in another one. Its end is a state change."""

    task_id: str
    user_id: str
    field_name: str
    timestamp: str
    event_id: str
    version: int


class CursorMoved(Struct, frozen=True, tag_field="type", tag="presence.cursor", omit_defaults=True):
    """Where a person's cursor is."""

    task_id: str
    user_id: str
    field_name: str
    timestamp: str
    event_id: str
    field_index: int | None = None


class Counts(Struct, frozen=True):
    """People on a task, by state."""

    total: int
    viewing: int
    editing: int
    typing: int


class CountsChanged(Struct, frozen=True, tag_field="type", tag="presence.counts"):
    """Told in place of single people while a crowd is on the task."""

    task_id: str
    counts: Counts
    timestamp: str
    event_id: str
    version: int


class PresenceInfo(Struct, frozen=True, omit_defaults=True):
    """One person of a snapshot: the design's ``PresenceInfo``, plus the fields locked by them."""

    user_id: str
    user_name: str
    user_role: str
    state: PresenceState
    task_id: str
    last_active: str
    avatar_url: str | None = None
    cursor_position: CursorPosition | None = None
    locked_fields: tuple[str, ...] = ()


class LockInfo(Struct, frozen=True):
    """A locked field of a snapshot and who holds it."""

    field_name: str
    user_id: str
    user_name: str
    token: int
    expires_at: str


class Snapshot(Struct, frozen=True, tag_field="type", tag="presence.snapshot", omit_defaults=True):
    """All that was told up to ``version``. While a crowd is on the task ``users`` is missing and ``counts`` is all."""

    task_id: str
    version: int
    counts: Counts
    timestamp: str
    event_id: str
    users: tuple[PresenceInfo, ...] | None = None
    locks: tuple[LockInfo, ...] = ()


class FieldLocked(Struct, frozen=True, tag_field="type", tag="presence.field_locked"):
    """A person got the lock of a field. An event with a lower token than one seen for the field is outdated."""

    task_id: str
    user_id: str
    user_name: str
    field_name: str
    token: int
    timestamp: str
    event_id: str
    version: int


#: The values of :class:`channels.locks.model.LockEnd`.
LockEnding: TypeAlias = Literal["released", "expired", "taken_over"]


class FieldUnlocked(Struct, frozen=True, tag_field="type", tag="presence.field_unlocked"):
    """A lock ended; ``ended`` says why: ``released``, ``expired`` or ``taken_over`` (a ``field_locked`` follows)."""

    task_id: str
    user_id: str
    field_name: str
    token: int
    ended: LockEnding
    timestamp: str
    event_id: str
    version: int


#: What a task's presence tells by itself.
PresenceChange: TypeAlias = UserJoined | UserLeft | StateChanged | Typing | CountsChanged | Snapshot
#: All that travels as presence.
PresenceEvent: TypeAlias = PresenceChange | CursorMoved | FieldLocked | FieldUnlocked

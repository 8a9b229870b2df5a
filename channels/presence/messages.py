"""What clients send about presence and locks, read once at the edge."""

from collections.abc import Mapping
from typing import Final, TypeAlias, get_args

import msgspec
from msgspec import Struct

from bayeux_server.errors import RemoteError
from channels.presence.model import PresenceState
from channels.schema import SchemaViolationError, check, type_name


class _Message(Struct, frozen=True, tag_field="type", kw_only=True):
    """What every message has. ``user_id`` is the design's; it must be the sender's own, and means nothing else."""

    task_id: str
    user_id: str | None = None


class Join(_Message, frozen=True, tag="presence.user_joined"):
    """The sender opened a task."""

    state: PresenceState = PresenceState.VIEWING


class Leave(_Message, frozen=True, tag="presence.user_left"):
    """The sender closed a task."""


class Heartbeat(_Message, frozen=True, tag="presence.heartbeat"):
    """The sender is still there."""


class ChangeState(_Message, frozen=True, tag="presence.state_changed"):
    """The sender's state is another. ``old_state`` is the design's; ours is what counts."""

    new_state: PresenceState
    old_state: PresenceState | None = None


class Type(_Message, frozen=True, tag="presence.typing"):
    """The sender typed in a field."""

    field_name: str


class Point(_Message, frozen=True, tag="presence.cursor"):
    """The sender's cursor moved."""

    field_name: str
    field_index: int | None = None


class AskSnapshot(_Message, frozen=True, tag="presence.snapshot"):
    """The sender missed a version and asks again."""


class AcquireLock(_Message, frozen=True, tag="lock.acquire"):
    """The sender wants to edit a field alone."""

    field_name: str


class ReleaseLock(_Message, frozen=True, tag="lock.release"):
    """The sender is done with a field."""

    field_name: str


class RenewLocks(_Message, frozen=True, tag="lock.renew"):
    """The sender still edits the fields it locked."""


class TakeOverLock(_Message, frozen=True, tag="lock.take_over"):
    """The sender breaks the glass: the reason is kept in the audit log, and nowhere else."""

    field_name: str
    reason: str


PresenceMessage: TypeAlias = (
    Join
    | Leave
    | Heartbeat
    | ChangeState
    | Type
    | Point
    | AskSnapshot
    | AcquireLock
    | ReleaseLock
    | RenewLocks
    | TakeOverLock
)

#: Type of a message to what it is read as. Not by the union: msgspec takes that apart anew with each call, for 50 us.
_READ_AS: Final[Mapping[str, type[PresenceMessage]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(PresenceMessage)
}
TYPES: Final = frozenset(_READ_AS)


def read_message(data: object) -> PresenceMessage:
    """Return a decoded JSON value as a message.

    Raises:
        RemoteError: 400 naming the field, the rule it breaks and the type found; never the value.
    """
    if not isinstance(data, dict):
        raise RemoteError(400, ["", "type", type_name(data)], "message_invalid")
    if "type" not in data:
        raise RemoteError(400, ["type", "required", "missing"], "message_invalid")
    kind = data["type"]
    if not isinstance(kind, str) or kind not in TYPES:
        raise RemoteError(400, ["type", "enum", type_name(kind)], "unknown_message_type")
    try:
        check(f"message.{kind}", data)
    except SchemaViolationError as violation:
        raise RemoteError(400, [violation.field, violation.rule, violation.value_type], "message_invalid") from None
    return msgspec.convert(data, _READ_AS[kind])

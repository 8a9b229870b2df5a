"""What the presence script found, as events. The script knows moments in milliseconds; texts are made here."""

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec
from msgspec.structs import asdict

from channels.presence.events import JoinedUser, PresenceChange, PresenceInfo, event_id, iso
from channels.presence.model import CursorPosition, Person, PresenceState

#: Type of an event to its struct. Not the union: msgspec takes that apart anew with each call.
_CHANGES: Final[Mapping[str, type[PresenceChange]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(PresenceChange)
}


class _FoundPerson(msgspec.Struct):
    person: Person
    state: PresenceState
    last_active: int
    cursor: CursorPosition | None = None


def decode_event(found: bytes) -> PresenceChange:
    """Return the event that the script wrote as JSON."""
    fields: dict[str, Any] = msgspec.json.decode(found)
    task_id, version, at_ms = fields["task_id"], fields["version"], fields.pop("at")
    fields["timestamp"] = iso(at_ms)
    fields["event_id"] = event_id(task_id, version)
    if fields["type"] == "presence.user_joined":
        person = msgspec.convert(fields.pop("person"), Person)
        fields["user"] = JoinedUser(**asdict(person), state=PresenceState(fields.pop("state")))
    elif fields["type"] == "presence.snapshot":
        fields["event_id"] += "-snapshot"
        people = [] if fields.pop("nobody", False) else fields.pop("users", None)
        fields["users"] = None if people is None else tuple(_info(each, task_id) for each in people)
    return msgspec.convert(fields, _CHANGES[fields["type"]])


def _info(found: object, task_id: str) -> PresenceInfo:
    each = msgspec.convert(found, _FoundPerson)
    return PresenceInfo(
        **asdict(each.person),
        state=each.state,
        task_id=task_id,
        last_active=iso(each.last_active),
        cursor_position=each.cursor,
    )

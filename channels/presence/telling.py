"""What subscribers are told about a room: differences become versioned events, a crowd becomes counts. Pure."""

from collections import Counter

from msgspec import Struct
from msgspec.structs import asdict

from channels.presence.events import (
    Counts,
    CountsChanged,
    JoinedUser,
    PresenceChange,
    PresenceInfo,
    Snapshot,
    StateChanged,
    Typing,
    UserJoined,
    UserLeft,
    event_id,
    iso,
)
from channels.presence.model import PresenceState
from channels.presence.room import Occupant, Room, Seen, Told


class Stamp(Struct, frozen=True):
    """What every versioned event of one task carries."""

    task_id: str
    timestamp: str
    event_id: str
    version: int


def stamp(room: Room, task_id: str, now_ms: int) -> Stamp:
    """Take the room's next version."""
    room.version += 1
    return Stamp(task_id, iso(now_ms), event_id(task_id, room.version), room.version)


def tell(room: Room, task_id: str, crowd: int, now_ms: int) -> list[PresenceChange]:
    """Let the room's window close if it is due, and return the events of it in order.

    With more than ``crowd`` people the events are one :class:`CountsChanged`; when the crowd is over, one
    :class:`Snapshot` gives the names back.
    """
    was_crowd, before = is_crowd(room, crowd), counts(room)
    differences = room.differences(now_ms)
    if not differences:
        return []
    if is_crowd(room, crowd):
        after = counts(room)
        return [] if after == before else [CountsChanged(counts=after, **asdict(stamp(room, task_id, now_ms)))]
    if was_crowd:
        room.version += 1
        return [snapshot(room, task_id, crowd, now_ms)]
    return [event for each in differences for event in _events(room, task_id, each, now_ms)]


def snapshot(room: Room, task_id: str, crowd: int, now_ms: int) -> Snapshot:
    """Return what was told up to the room's version; changes of the open window follow as events.

    Cursor and ``last_active`` are as of now: they have no version.
    """
    users = None
    if not is_crowd(room, crowd):
        told = [(each, each.told) for _, each in sorted(room.occupants.items())]
        users = tuple(_info(task_id, each, seen, now_ms) for each, seen in told if seen is not None)
    return Snapshot(
        task_id=task_id,
        version=room.version,
        counts=counts(room),
        timestamp=iso(now_ms),
        event_id=f"{event_id(task_id, room.version)}-snapshot",
        users=users,
    )


def counts(room: Room) -> Counts:
    """Count the people told of, by state."""
    states = Counter(occupant.told.state for occupant in room.occupants.values() if occupant.told is not None)
    return Counts(total=states.total(), **{state.value: states[state] for state in PresenceState})


def is_crowd(room: Room, crowd: int) -> bool:
    """Say whether more people than ``crowd`` were told of."""
    return len(room.occupants) > crowd and counts(room).total > crowd


def _events(room: Room, task_id: str, told: Told, now_ms: int) -> list[PresenceChange]:
    person, before, after = told.person, told.before, told.after
    events: list[PresenceChange] = []
    if after is None:
        events.append(UserLeft(user_id=person.user_id, **asdict(stamp(room, task_id, now_ms))))
        return events
    if before is None:
        user = JoinedUser(**asdict(person), state=after.state)
        events.append(UserJoined(user=user, **asdict(stamp(room, task_id, now_ms))))
    elif before.state is not after.state:
        changed = asdict(stamp(room, task_id, now_ms))
        events.append(StateChanged(user_id=person.user_id, old_state=before.state, new_state=after.state, **changed))
    if after.field_name is not None and (before is None or before.field_name != after.field_name):
        typed = asdict(stamp(room, task_id, now_ms))
        events.append(Typing(user_id=person.user_id, field_name=after.field_name, **typed))
    return events


def _info(task_id: str, occupant: Occupant, seen: Seen, now_ms: int) -> PresenceInfo:
    leases = occupant.leases
    pointed = [(lease.cursor_at_ms, session_id) for session_id, lease in leases.items() if lease.cursor is not None]
    return PresenceInfo(
        **asdict(occupant.person),
        state=seen.state,
        task_id=task_id,
        last_active=iso(max((lease.last_active_ms for lease in leases.values()), default=now_ms)),
        cursor_position=leases[max(pointed)[1]].cursor if pointed else None,
    )

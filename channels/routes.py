"""Which channels an event goes to: one table.

Source: the design's "Subscription Channels"; a reassignment reaches the old and the new assignee, a move between teams
both teams. A road whose field an event does not carry is not taken: an event of another service may know less.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple


class Road(NamedTuple):
    """One way out of an event: ``channel`` with ``{}`` filled by the value found at ``field``."""

    channel: str
    field: tuple[str, ...]


_TASK: Final = Road("/task/{}", ("task_id",))

_TASK_ROADS: Final = (
    _TASK,
    Road("/task_list/assigned_to/{}", ("task", "assigned_to")),
    Road("/task_list/assigned_to/{}", ("previous_assigned_to",)),
    Road("/task_list/member/{}", ("task", "member_id")),
    Road("/task_list/team/{}", ("task", "team_id")),
    Road("/task_list/team/{}", ("previous_team_id",)),
)
_PRESENCE_ROADS: Final = (_TASK, Road("/task/{}/presence", ("task_id",)))
_NOTIFICATION_ROADS: Final = (Road("/notifications/{}", ("user_id",)),)
_ACTIVITY_ROADS: Final = (Road("/activity_feed/{}", ("team_id",)),)

#: Type of an event to its roads. Types of activity are the design's: they have no dot.
ROUTES: Final[Mapping[str, tuple[Road, ...]]] = {
    "task.created": _TASK_ROADS,
    "task.updated": _TASK_ROADS,
    "task.assigned": _TASK_ROADS,
    "task.completed": _TASK_ROADS,
    "task.deleted": _TASK_ROADS,
    # To those editing only: the presence extension picks the sessions, the channel is the task's.
    "task.base_moved": (_TASK,),
    "presence.user_joined": _PRESENCE_ROADS,
    "presence.user_left": _PRESENCE_ROADS,
    "presence.state_changed": _PRESENCE_ROADS,
    "presence.typing": _PRESENCE_ROADS,
    "presence.cursor": _PRESENCE_ROADS,
    "presence.counts": _PRESENCE_ROADS,
    "presence.field_locked": _PRESENCE_ROADS,
    "presence.field_unlocked": _PRESENCE_ROADS,
    "presence.snapshot": _PRESENCE_ROADS,
    "notification.task_assigned": _NOTIFICATION_ROADS,
    "notification.read": _NOTIFICATION_ROADS,
    "task_created": _ACTIVITY_ROADS,
    "task_updated": _ACTIVITY_ROADS,
    "task_assigned": _ACTIVITY_ROADS,
    "task_completed": _ACTIVITY_ROADS,
    "note_added": _ACTIVITY_ROADS,
    "member_contacted": _ACTIVITY_ROADS,
}


def channels_of(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the channels that ``event`` goes to, each once, the narrowest first.

    Args:
        event: A decoded event that has passed its schema.

    Raises:
        KeyError: If its type has no roads.
    """
    return tuple(dict.fromkeys(_names(event)))


def _names(event: Mapping[str, Any]) -> Iterator[str]:
    for road in ROUTES[event["type"]]:
        value: Any = event
        for part in road.field:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            yield road.channel.format(value)

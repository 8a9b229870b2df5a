"""Which permission a care channel asks for. Pure: no I/O, no clock, no sessions.

The table of channels, and what subscribing and publishing need:

============================================  ==================================  =====================
channel                                       to subscribe                        to publish
============================================  ==================================  =====================
``/task/{task}``                              ``view`` on the task                a back-end service
``/task/{task}/presence``                     ``view`` on the task                nobody
``/task_list/assigned_to/{user}``             to be that user                     nobody
``/task_list/member/{member}``                ``view_phi`` on the member          nobody
``/task_list/team/{team}``                    ``view`` on the team                nobody
``/notifications/{user}``                     to be that user                     nobody
``/activity_feed/{team}``                     ``view`` on the team                nobody
a pattern within one task (``/task/1/**``)    ``view`` on the task                nobody (a pattern)
any other pattern that can match one above    a back-end service                  nobody (a pattern)
anything else under those first segments      nobody                              nobody
============================================  ==================================  =====================

"Nobody" means no session: the server itself publishes without asking.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from bayeux_server.protocol.channel_id import ChannelId

#: The role that a back-end service's token carries.
SYSTEM_ROLE: Final = "system"


class Permission(StrEnum):
    """What may be asked. The first three are asked of a permission checker, the others decided from the asker."""

    VIEW = "view"
    EDIT = "edit"
    VIEW_PHI = "view_phi"
    OWN = "own"
    SYSTEM = "system"
    NEVER = "never"


class Need(NamedTuple):
    """One condition: ``permission`` on the object. ``object_type`` is one of the schema's definitions."""

    permission: Permission
    object_type: str
    object_id: str


class Principal(NamedTuple):
    """Who asks: the verified subject of the token, and its roles. An anonymous session has no principal."""

    user_id: str
    roles: frozenset[str] = frozenset()

    @property
    def is_system(self) -> bool:
        """Whether this is a back-end service."""
        return SYSTEM_ROLE in self.roles


SYSTEM_ONLY: Final = Need(Permission.SYSTEM, "platform", "care")
NEVER: Final = Need(Permission.NEVER, "platform", "care")

#: What answers a need from a relation graph: true, false, or None when it is not known yet.
Decide = Callable[[str, str, str, str], bool | None]


def view_task(task_id: str) -> Need:
    """Need to see a task."""
    return Need(Permission.VIEW, "task", task_id)


def edit_task(task_id: str) -> Need:
    """Need to change a task."""
    return Need(Permission.EDIT, "task", task_id)


def view_team(team_id: str) -> Need:
    """Need to belong to a team's staff."""
    return Need(Permission.VIEW, "team", team_id)


def view_phi(member_id: str) -> Need:
    """Need to see what is known of a patient."""
    return Need(Permission.VIEW_PHI, "member", member_id)


def own(user_id: str) -> Need:
    """Need to be that user."""
    return Need(Permission.OWN, "user", user_id)


def decided(principal: Principal | None, need: Need, decide: Decide) -> bool | None:
    """Decide one need for one asker.

    Returns:
        True or false; None when ``decide`` does not know yet. Nobody passes a need without a principal.
    """
    if principal is None or need.permission is Permission.NEVER:
        return False
    if principal.is_system:
        return True
    if need.permission is Permission.OWN:
        return principal.user_id == need.object_id
    if need.permission is Permission.SYSTEM:
        return False
    return decide(principal.user_id, need.permission, need.object_type, need.object_id)


def to_subscribe(channel: ChannelId) -> Need | None:
    """Return what subscribing to a channel or pattern needs; None if it cannot carry anything of the care layer."""
    if channel.is_pattern:
        return _to_subscribe_pattern(channel.segments)
    if channel.segments[0] not in CARE_ROOTS:
        return None
    return _need_of(channel.segments)


def to_publish(channel: ChannelId) -> Need | None:
    """Return what a session needs to publish on a channel; None if it is no care channel."""
    if channel.segments[0] not in CARE_ROOTS:
        return None
    is_task = len(channel.segments) == 2 and channel.segments[0] == "task" and not channel.is_pattern
    return SYSTEM_ONLY if is_task else NEVER


def _need_of(segments: tuple[str, ...]) -> Need:
    match segments:
        case ("task", task_id) | ("task", task_id, "presence"):
            return view_task(task_id)
        case ("task_list", "assigned_to", user_id) | ("notifications", user_id):
            return own(user_id)
        case ("task_list", "member", member_id):
            return view_phi(member_id)
        case ("task_list", "team", team_id) | ("activity_feed", team_id):
            return view_team(team_id)
        case _:
            return NEVER


def _to_subscribe_pattern(segments: tuple[str, ...]) -> Need | None:
    prefix, star = segments[:-1], segments[-1]
    if not prefix:
        # Every care channel has two segments or more, so "/*" can match none of them.
        return SYSTEM_ONLY if star == "**" else None
    if prefix[0] not in CARE_ROOTS:
        return None
    if prefix[0] == "task" and len(prefix) == 2:
        return view_task(prefix[1])
    return SYSTEM_ONLY


#: First segments that belong to the care layer; what lies under them is denied unless granted.
CARE_ROOTS: Final = frozenset({"task", "task_list", "notifications", "activity_feed"})

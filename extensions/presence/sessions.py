"""Which sessions of this node are present where, and whether their connections live."""

from collections.abc import Iterator

from msgspec import Struct, field

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.server.session import ServerSession
from channels.presence.messages import (
    AcquireLock,
    AskSnapshot,
    ChangeState,
    Join,
    Leave,
    PresenceMessage,
    ReleaseLock,
    TakeOverLock,
    Type,
)
from channels.presence.model import PresenceState


class Presence(Struct):
    """What this node knows of one session's presence.

    Attributes:
        id: The session's name in the stores.
        states: The state last declared on each task.
        signs_s: When the last sign of life on each of them came, by the server's clock.
        away_since_s: Since when its connection has been gone, by the server's clock; None while it is there.
        told_away_s: What the stores believe of that; None if they believe the connection is there.
    """

    id: str
    states: dict[str, PresenceState] = field(default_factory=dict)
    signs_s: dict[str, float] = field(default_factory=dict)
    away_since_s: float | None = None
    told_away_s: float | None = None

    def note(self, message: PresenceMessage, now_s: float) -> None:
        """Keep the state that an accepted message declared."""
        match message:
            case Leave(task_id=task_id):
                self.forget(task_id)
            case AskSnapshot() | ReleaseLock():
                pass  # no signs of life: whoever only asks, or gives up, is not there
            case Join(task_id=task_id, state=state) | ChangeState(task_id=task_id, new_state=state):
                self._set(task_id, state, now_s)
            case Type(task_id=task_id) | AcquireLock(task_id=task_id) | TakeOverLock(task_id=task_id):
                self._set(task_id, PresenceState.EDITING, now_s)
            case _:
                self._set(message.task_id, self.states.get(message.task_id, PresenceState.VIEWING), now_s)

    def forget(self, task_id: str) -> None:
        """Keep nothing of a task that was left."""
        self.states.pop(task_id, None)
        self.signs_s.pop(task_id, None)

    def alive_after(self, then_s: float) -> dict[str, PresenceState]:
        """Return the states on the tasks that had a sign of life after a moment."""
        return {task_id: state for task_id, state in self.states.items() if self.is_alive(task_id, then_s)}

    def is_alive(self, task_id: str, then_s: float) -> bool:
        """Say whether the last sign of life on a task came after a moment."""
        return self.signs_s.get(task_id, then_s) > then_s

    def _set(self, task_id: str, state: PresenceState, now_s: float) -> None:
        self.states[task_id], self.signs_s[task_id] = state, now_s


class LocalSessions:
    """The present sessions of this node."""

    def __init__(self) -> None:
        self._present: dict[ServerSession, Presence] = {}
        self._named: dict[str, ServerSession] = {}

    def __len__(self) -> int:
        return len(self._present)

    def __iter__(self) -> Iterator[tuple[ServerSession, Presence]]:
        return iter(list(self._present.items()))

    def get(self, session: ServerSession) -> Presence | None:
        """Return what is known of a session that was ever present."""
        return self._present.get(session)

    def named(self, presence_id: str) -> ServerSession | None:
        """Return the session of a name in the stores, None if it was never present here."""
        return self._named.get(presence_id)

    def add(self, session: ServerSession, presence_id: str) -> Presence:
        """Return what is known of a session, newly if it must be."""
        presence = self._present.get(session)
        if presence is None:
            presence = self._present[session] = Presence(presence_id)
            self._named[presence_id] = session
        return presence

    def remove(self, session: ServerSession) -> Presence | None:
        """Forget a session that ended."""
        presence = self._present.pop(session, None)
        if presence is not None:
            del self._named[presence.id]
        return presence


def task_of(channel: ChannelId) -> str | None:
    """Return the task whose presence a subscription to ``channel`` shows, None if it is not one task's."""
    match channel.segments:
        case ("task", task_id) | ("task", task_id, "presence" | "*" | "**") if task_id not in {"*", "**"}:
            return task_id
    return None


def sees(session: ServerSession, task_id: str) -> bool:
    """Say whether a session is subscribed to a task's presence. It passed the authorisation of that channel then."""
    segments = ("task", task_id)
    names = (
        *ChannelId(f"/task/{task_id}", segments).matching(),
        *ChannelId(f"/task/{task_id}/presence", (*segments, "presence")).matching(),
    )
    return not session.subscriptions.isdisjoint(names)

"""Presence on one task, as state plus time. No clock, no I/O."""

from msgspec import Struct, field

from channels.presence.deadlines import Deadlines
from channels.presence.model import CursorPosition, Person, PresenceState, PresenceTimes, Touch


class Seen(Struct, frozen=True):
    """How a person appears to others: the strongest state of the live leases, and the field typed in."""

    state: PresenceState
    field_name: str | None = None


class Lease(Struct):
    """One session's presence on the task. All times are integer milliseconds; ``state`` is never ``typing``."""

    state: PresenceState
    expires_at_ms: int
    last_active_ms: int
    grace_until_ms: int | None = None
    typing_until_ms: int = 0
    field_name: str | None = None
    cursor: CursorPosition | None = None
    cursor_at_ms: int = 0

    @property
    def ends_at_ms(self) -> int:
        """When the lease ends, at its own term or because a lost connection did not come back."""
        return self.expires_at_ms if self.grace_until_ms is None else min(self.expires_at_ms, self.grace_until_ms)

    def moment_ms(self, now_ms: int) -> int:
        """Return when this lease next changes by itself."""
        return min(self.ends_at_ms, self.typing_until_ms) if self.typing_until_ms > now_ms else self.ends_at_ms

    def touch(self, touch: Touch, now_ms: int, times: PresenceTimes) -> None:
        """Renew the lease and take over what the sign of life changes."""
        self.expires_at_ms = now_ms + times.lease_ms
        self.last_active_ms = now_ms
        self.grace_until_ms = None
        if touch.cursor is not None:
            self.cursor, self.cursor_at_ms = touch.cursor, now_ms
        if touch.state is PresenceState.TYPING:
            self.state = PresenceState.EDITING
            self.typing_until_ms = now_ms + times.typing_ms
            self.field_name = touch.field_name
        elif touch.state is not None and not (touch.at_least and self.state.strength >= touch.state.strength):
            self.state = touch.state
            self.typing_until_ms = 0


class Occupant(Struct):
    """A person on the task: the leases of their sessions, and what subscribers were last told of them."""

    person: Person
    leases: dict[str, Lease] = field(default_factory=dict)
    told: Seen | None = None

    def seen(self, now_ms: int) -> Seen | None:
        """Return how the person appears now, or None if no lease is alive. Computed, never counted."""
        live = [(session_id, lease) for session_id, lease in self.leases.items() if lease.ends_at_ms > now_ms]
        typing = [(lease.typing_until_ms, session_id) for session_id, lease in live if lease.typing_until_ms > now_ms]
        if typing:
            return Seen(PresenceState.TYPING, self.leases[max(typing)[1]].field_name)
        strongest = max((lease.state for _, lease in live), key=lambda state: state.strength, default=None)
        return None if strongest is None else Seen(strongest)

    def moment_ms(self, now_ms: int) -> int | None:
        """Return when the person's appearance may next change by itself."""
        return min((lease.moment_ms(now_ms) for lease in self.leases.values()), default=None)


class Told(Struct, frozen=True):
    """One person's difference between what was told and what is: ``before`` None is a join, ``after`` None a leave."""

    person: Person
    before: Seen | None
    after: Seen | None


class Room:
    """Who is on one task.

    Changes are collected for ``window_ms`` and told as the difference between what subscribers know and what is true
    then. So a join and a leave in one window cancel out, and one departure is one ``user_left``, whatever caused it.
    What time brings about (a lease or typing that ends) was known beforehand and waits for no window: it is told at its
    moment, with what else has changed.

    Args:
        times: Leases, window and bounds.
        version: Version of the last told change; each told change is one higher, without holes.

    Attributes:
        quiet_since_ms: When anybody last asked anything of the room; a deserted room is forgotten some time after.
    """

    def __init__(self, times: PresenceTimes, version: int) -> None:
        self._times = times
        self.version = version
        self.quiet_since_ms = 0
        self.occupants: dict[str, Occupant] = {}
        self._moments: Deadlines[str] = Deadlines()
        self._changed: set[str] = set()
        self._changed_at_ms: int | None = None
        self._ended: list[str] = []

    @property
    def due_ms(self) -> int | None:
        """When :meth:`differences` has work next, or None if never by itself."""
        lapse_ms = self._moments.next_ms()
        if self._changed_at_ms is None:
            return lapse_ms
        closes_ms = self._changed_at_ms + self._times.window_ms
        return closes_ms if lapse_ms is None else min(closes_ms, lapse_ms)

    def touch(self, touch: Touch, now_ms: int) -> None:
        """Take a sign of life. A session without a live lease becomes present by it."""
        user_id = touch.person.user_id
        occupant = self.occupants.get(user_id)
        if occupant is None:
            occupant = self.occupants[user_id] = Occupant(touch.person)
        occupant.person = touch.person
        lease = occupant.leases.get(touch.session_id)
        if lease is None or lease.ends_at_ms <= now_ms:
            lease = occupant.leases[touch.session_id] = Lease(PresenceState.VIEWING, now_ms, now_ms)
        lease.touch(touch, now_ms, self._times)
        self._review(user_id, now_ms)

    def leave(self, user_id: str, session_id: str, now_ms: int) -> None:
        """End a session's lease."""
        occupant = self.occupants.get(user_id)
        if occupant is not None and occupant.leases.pop(session_id, None) is not None:
            self._review(user_id, now_ms)

    def lose(self, user_id: str, session_id: str, now_ms: int, gone_for_ms: int) -> None:
        """Begin the grace time of a session that lost its connection so long ago. A second loss does not prolong it."""
        lease = self._lease(user_id, session_id)
        if lease is not None and lease.grace_until_ms is None:
            lease.grace_until_ms = now_ms - gone_for_ms + self._times.grace_ms
            self._review(user_id, now_ms)

    def resume(self, user_id: str, session_id: str, now_ms: int) -> bool:
        """End the grace time of a session that came back; say whether its lease was still alive."""
        lease = self._lease(user_id, session_id)
        if lease is None or lease.ends_at_ms <= now_ms:
            return False
        lease.grace_until_ms = None
        self._review(user_id, now_ms)
        return True

    def differences(self, now_ms: int) -> list[Told]:
        """Let time pass to ``now_ms``; return what is to be told, by user id, and note it as told.

        Nothing is returned while the window of the first change is open.
        """
        self._lapse(now_ms)
        if self._changed_at_ms is None or self._changed_at_ms + self._times.window_ms > now_ms:
            return []
        differences = []
        for user_id in sorted(self._changed):
            occupant = self.occupants.get(user_id)
            if occupant is None:
                continue
            after = occupant.seen(now_ms)
            if after != occupant.told:
                differences.append(Told(occupant.person, occupant.told, after))
                occupant.told = after
            self._forget_if_gone(user_id, occupant)
        self._changed.clear()
        self._changed_at_ms = None
        return differences

    def take_ended(self) -> list[str]:
        """Return the sessions whose lease has ended by itself since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def _lapse(self, now_ms: int) -> None:
        for user_id, moment_ms in self._moments.pop_due(now_ms):
            occupant = self.occupants[user_id]
            for session_id, lease in list(occupant.leases.items()):
                if lease.ends_at_ms <= now_ms:
                    del occupant.leases[session_id]
                    self._ended.append(session_id)
            self._review(user_id, now_ms, since_ms=moment_ms - self._times.window_ms)

    def _review(self, user_id: str, now_ms: int, since_ms: int | None = None) -> None:
        occupant = self.occupants[user_id]
        self._moments.set(user_id, occupant.moment_ms(now_ms))
        if occupant.seen(now_ms) != occupant.told:
            self._changed.add(user_id)
            since_ms = now_ms if since_ms is None else since_ms
            self._changed_at_ms = since_ms if self._changed_at_ms is None else min(self._changed_at_ms, since_ms)
        elif user_id not in self._changed:
            self._forget_if_gone(user_id, occupant)

    def _forget_if_gone(self, user_id: str, occupant: Occupant) -> None:
        if occupant.told is None and not occupant.leases:
            del self.occupants[user_id]

    def _lease(self, user_id: str, session_id: str) -> Lease | None:
        occupant = self.occupants.get(user_id)
        return None if occupant is None else occupant.leases.get(session_id)

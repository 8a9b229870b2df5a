"""Whose connection is gone, and since when: what the stores have to hear, and when."""

from collections.abc import Awaitable, Callable
from typing import Final

from bayeux_server.server.clock import Clock
from bayeux_server.server.session import ServerSession
from extensions.presence.people import person_of
from extensions.presence.service import PresenceService, Visitor
from extensions.presence.sessions import LocalSessions, Presence

#: Between two long-polls a connection is missing for a moment: the stores hear of what is missing for longer. They hear
#: since when, so that this costs the grace time nothing.
GAP_S: Final = 1.0
#: What the stores believe after a call to them that may have failed: neither a moment nor None.
_UNKNOWN: Final = -1.0

#: Has work done in a session's turn.
Spawn = Callable[[ServerSession, Callable[[], Awaitable[None]]], None]


class Connections:
    """Keeps what the stores believe of each session's connection true.

    A call that fails is repeated after the gap, and again, until the stores believe what is true.

    Args:
        sessions: The present sessions of this node.
        service: Begins and ends grace times.
        clock: The server's.
        spawn: Has work done in a session's turn.
        wake: Asks for :meth:`tick` within so many seconds.
        gap_s: For how long a connection may be missing before the stores hear of it.
        lease_s: For how long after its last sign of life somebody is present.
    """

    def __init__(
        self,
        sessions: LocalSessions,
        service: PresenceService,
        clock: Clock,
        spawn: Spawn,
        wake: Callable[[float], None],
        *,
        gap_s: float,
        lease_s: float,
    ) -> None:
        self._sessions = sessions
        self._service = service
        self._clock = clock
        self._spawn = spawn
        self._wake = wake
        self._gap_s = gap_s
        self._lease_s = lease_s
        #: When to settle which session; the earliest first, since each waits for the same time.
        self._due: dict[ServerSession, float] = {}

    def look(self, session: ServerSession) -> None:
        """See whether a session's connection is gone. Given to the server, which knows when that may have changed."""
        presence = self._sessions.get(session)
        if presence is None:
            return
        if session.has_connection:
            presence.away_since_s = None
        elif presence.away_since_s is None:
            presence.away_since_s = self._clock.now()
            self._settle_later(session)
        if presence.told_away_s not in {None, presence.away_since_s}:
            self._settle_now(session, presence)

    def seen(self, session: ServerSession) -> None:
        """Take a sign of life. Of a session without a connection it is believed for the grace time."""
        presence = self._sessions.get(session)
        if presence is not None:
            presence.away_since_s = None
            self.look(session)

    def forget(self, session: ServerSession) -> None:
        """Hear that a session ended."""
        self._due.pop(session, None)

    def tick(self) -> float | None:
        """Settle what is due; return seconds until there is more, None if nothing waits."""
        now_s = self._clock.now()
        while (session := next(iter(self._due), None)) is not None:
            if self._due[session] > now_s:
                return self._due[session] - now_s
            del self._due[session]
            presence = self._sessions.get(session)
            if presence is not None:
                self._settle_now(session, presence)
        return None

    async def lose_all(self) -> None:
        """Begin the grace time of everybody: this node stops, and they may come back on another one.

        Raises:
            OSError: If the stores cannot be reached: who does not come back is told as gone by the end of the lease.
        """
        for session, presence in self._sessions:
            if presence.away_since_s is None:
                presence.away_since_s = self._clock.now()
            await self._tell(session, presence, presence.away_since_s)

    def _settle_later(self, session: ServerSession) -> None:
        self._due.pop(session, None)
        self._due[session] = self._clock.now() + self._gap_s
        self._wake(self._gap_s)

    def _settle_now(self, session: ServerSession, presence: Presence) -> None:
        self._spawn(session, lambda: self._settle(session, presence))

    async def _settle(self, session: ServerSession, presence: Presence) -> None:
        away_s = presence.away_since_s
        if away_s is not None and self._clock.now() < away_s + self._gap_s:
            away_s = None
        try:
            await self._tell(session, presence, away_s)
        except OSError:
            self._settle_later(session)

    async def _tell(self, session: ServerSession, presence: Presence, away_s: float | None) -> None:
        if presence.told_away_s == away_s:
            return
        if presence.told_away_s is not None:
            presence.told_away_s = _UNKNOWN
            states = presence.alive_after(self._clock.now() - self._lease_s)
            await self._service.resume(Visitor(presence.id, person_of(session)), states)
            presence.told_away_s = None
        if away_s is not None:
            presence.told_away_s = _UNKNOWN
            await self._service.lose(presence.id, self._clock.now() - away_s)
            presence.told_away_s = away_s

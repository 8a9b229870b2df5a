"""Leases renewed by what a session does on a task by another road than ``/service/presence``."""

import contextlib
from collections.abc import Awaitable, Callable

from bayeux_server.server.clock import Clock
from bayeux_server.server.session import ServerSession
from channels.presence.messages import Heartbeat
from extensions.presence.people import person_of
from extensions.presence.service import PresenceService, Visitor
from extensions.presence.sessions import LocalSessions, Presence


class Renewals:
    """Takes calls about tasks as heartbeats of who is present there. Of anybody else a call costs two look-ups.

    Args:
        sessions: The present sessions of this node.
        service: Renews leases of presence and locks.
        clock: The server's.
        spawn: Has work done in a session's turn.
        lease_s: For how long after its last sign of life somebody is present.
    """

    def __init__(
        self,
        sessions: LocalSessions,
        service: PresenceService,
        clock: Clock,
        spawn: Callable[[ServerSession, Callable[[], Awaitable[None]]], None],
        *,
        lease_s: float,
    ) -> None:
        self._sessions = sessions
        self._service = service
        self._clock = clock
        self._spawn = spawn
        self._lease_s = lease_s

    def take(self, presence_id: str, user_id: str, task_id: str) -> None:
        """Take a call; the stores hear of it a moment later.

        Args:
            presence_id: The session's name in the stores. Sessions of other nodes are not known here.
            user_id: Who calls, as verified: nobody renews another's presence.
            task_id: What the call is about.
        """
        session = self._sessions.named(presence_id)
        if session is not None and session.user_id == user_id and self._presence_on(session, task_id) is not None:
            self._spawn(session, lambda: self._renew(session, task_id))

    async def _renew(self, session: ServerSession, task_id: str) -> None:
        # Looked up again: until its turn came the session may have left.
        presence = self._presence_on(session, task_id)
        if presence is None:
            return
        message = Heartbeat(task_id=task_id)
        # Not kept for stores that come back: it would push out who left meanwhile, and the next sign of life will do.
        with contextlib.suppress(OSError):
            await self._service.receive(Visitor(presence.id, person_of(session)), message)
            presence.note(message, self._clock.now())

    def _presence_on(self, session: ServerSession, task_id: str) -> Presence | None:
        """Return a session's presence if it is on the task. A call over HTTP ends no grace time: a connection does."""
        presence = self._sessions.get(session)
        if presence is None or presence.told_away_s is not None:
            return None
        return presence if presence.is_alive(task_id, self._clock.now() - self._lease_s) else None

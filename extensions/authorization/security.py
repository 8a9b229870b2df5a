"""The security policy of the care channels, around the server's own: a session needs both."""

import inspect
from collections.abc import Awaitable

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Handshake, Publish
from bayeux_server.server.authorizer import Decision, SecurityPolicy
from bayeux_server.server.session import ServerSession
from channels.policy import Need, Principal, decided, to_publish, to_subscribe
from extensions.authorization.decisions import Decisions
from extensions.authorization.ports import Check


class CareSecurity:
    """A :class:`SecurityPolicy`: what is refused is refused alike, whether the thing asked for exists or not."""

    def __init__(self, inner: SecurityPolicy, decisions: Decisions) -> None:
        self._inner = inner
        self._decisions = decisions

    def can_handshake(self, session: ServerSession, message: Handshake) -> Decision:
        """As the server's own policy says."""
        return self._inner.can_handshake(session, message)

    def can_create(self, session: ServerSession | None, channel: ChannelId) -> Decision:
        """As the server's own policy says: a channel is nothing before somebody may be on it."""
        return self._inner.can_create(session, channel)

    def can_subscribe(self, session: ServerSession, channel: ChannelId) -> Decision:
        """Whether the server's own policy and the relations both allow it."""
        need = to_subscribe(channel)
        inner = self._inner.can_subscribe(session, channel)
        return inner if need is None else self._both(inner, session, need)

    def can_publish(self, session: ServerSession | None, message: Publish) -> Decision:
        """Whether the server's own policy and the role both allow it."""
        need = to_publish(message.channel)
        inner = self._inner.can_publish(session, message)
        return inner if need is None else self._both(inner, session, need)

    def _both(self, inner: Decision, session: ServerSession | None, need: Need) -> Decision:
        principal = principal_of(session)
        allowed = decided(principal, need, self._decisions.decide)
        if allowed is False or inner is False:
            # The inner decision may be a coroutine, which must not be left unawaited.
            return _discarded(inner) if inspect.isawaitable(inner) else False
        if allowed is None or inspect.isawaitable(inner):
            return self._both_later(inner, principal, need)
        return inner

    async def _both_later(self, inner: Decision, principal: Principal | None, need: Need) -> bool:
        permitted = await inner if inspect.isawaitable(inner) else inner
        if not permitted or principal is None:
            return False
        allowed = decided(principal, need, self._decisions.decide)
        if allowed is None:
            return await self._decisions.check(Check(principal.user_id, *need))
        return allowed


def principal_of(session: ServerSession | None) -> Principal | None:
    """Return who a session is, None for an anonymous one."""
    if session is None or session.identity is None:
        return None
    return Principal(session.identity.user_id, session.identity.roles)


async def _discarded(inner: Awaitable[bool]) -> bool:
    await inner
    return False

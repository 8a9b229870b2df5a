"""Who may do what: one policy for the server, and authorizers on single channels.

Everything fails closed: an exception in a policy or an authorizer refuses the message.
"""

from collections.abc import Awaitable
from enum import Enum
from typing import Protocol

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Handshake, Publish
from bayeux_server.server.session import ServerSession

#: A decision now, or one that has to be waited for.
Decision = bool | Awaitable[bool]


class SecurityPolicy(Protocol):
    """Asked before anything is done. Answers may be awaitable; plain ones cost less.

    ``session`` is None for a publish without a session.
    """

    def can_handshake(self, session: ServerSession, message: Handshake) -> Decision:
        """Whether the client gets a session. ``session.identity`` is set, if authentication found one."""

    def can_create(self, session: ServerSession | None, channel: ChannelId) -> Decision:
        """Whether a channel nobody has used yet may come into being."""

    def can_subscribe(self, session: ServerSession, channel: ChannelId) -> Decision:
        """Whether the session may subscribe; asked for each member of a list, and for patterns."""

    def can_publish(self, session: ServerSession | None, message: Publish) -> Decision:
        """Whether the message may be published."""


class AllowAll:
    """The development policy: any session, any channel.

    Args:
        publish_without_session: Whether publishing needs no session.
    """

    def __init__(self, *, publish_without_session: bool = False) -> None:
        self._publish_without_session = publish_without_session

    def can_handshake(self, session: ServerSession, message: Handshake) -> bool:
        """Yes."""
        return True

    def can_create(self, session: ServerSession | None, channel: ChannelId) -> bool:
        """Yes."""
        return True

    def can_subscribe(self, session: ServerSession, channel: ChannelId) -> bool:
        """Yes."""
        return True

    def can_publish(self, session: ServerSession | None, message: Publish) -> bool:
        """Yes, with a session or where none is needed."""
        return session is not None or self._publish_without_session


class Operation(Enum):
    """What an authorizer is asked about."""

    CREATE = "create"
    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"


class Verdict(Enum):
    """What an authorizer answers."""

    GRANT = "grant"
    IGNORE = "ignore"
    DENY = "deny"


class Authorizer(Protocol):
    """Decides for the channel it is added to, and for those below it if that is a pattern. Must not wait."""

    def authorize(self, operation: Operation, channel: ChannelId, session: ServerSession | None) -> Verdict:
        """Grant, ignore (leave it to the others), or deny (whatever the others say)."""


def authorized(
    authorizers: list[Authorizer], operation: Operation, channel: ChannelId, session: ServerSession | None
) -> bool:
    """Return what the authorizers of a channel and of the patterns above it decide together.

    No authorizers: yes, the security policy alone decides. One that denies: no. At least one that grants: yes. All
    ignore: no.

    Source: CometD's reference, "Authorizers".
    """
    if not authorizers:
        return True
    verdicts = [authorizer.authorize(operation, channel, session) for authorizer in authorizers]
    return Verdict.DENY not in verdicts and Verdict.GRANT in verdicts

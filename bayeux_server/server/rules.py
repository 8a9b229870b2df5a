"""Channel rules from the configuration: denied unless granted."""

import re
from collections.abc import Iterable
from typing import Final

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Handshake, Publish
from bayeux_server.server.authorizer import Operation
from bayeux_server.server.identity import Identity
from bayeux_server.server.session import ServerSession

#: Stands for the session's own user in a rule's channel.
OWN_ID: Final = "{user_id}"
ANYONE: Final = "*"


class ChannelRule:
    """Grants operations on channels to roles.

    Args:
        channel: A channel or pattern. ``{user_id}`` stands for the session's own user; other ``{names}`` for any one
            segment.
        operations: What is granted.
        roles: To whom; ``*`` for everyone with a session.
    """

    def __init__(self, channel: str, operations: Iterable[Operation], roles: Iterable[str]) -> None:
        self._segments = tuple(channel.strip("/").split("/"))
        self._operations = frozenset(operations)
        self._roles = frozenset(roles)

    def grants(self, operation: Operation, channel: ChannelId, identity: Identity | None) -> bool:
        """Whether this rule grants it."""
        return operation in self._operations and self._is_for(identity) and self._covers(channel, identity)

    def _is_for(self, identity: Identity | None) -> bool:
        return ANYONE in self._roles or (identity is not None and not self._roles.isdisjoint(identity.roles))

    def _covers(self, channel: ChannelId, identity: Identity | None) -> bool:
        """Whether everything the channel names, be it a pattern, lies within the rule's pattern."""
        rule, asked = self._segments, channel.segments
        for index, segment in enumerate(rule):
            if segment == "**":
                return len(asked) > index
            if index >= len(asked) or not _fits(segment, asked[index], identity):
                return False
        return len(asked) == len(rule)


def _fits(segment: str, asked: str, identity: Identity | None) -> bool:
    if segment == OWN_ID:
        return identity is not None and asked == identity.user_id and asked not in ("*", "**")
    if asked in ("*", "**"):
        # A pattern may not reach further than the rule does.
        return asked == "*" and (segment == "*" or _PLACEHOLDER.fullmatch(segment) is not None)
    return segment in ("*", asked) or _PLACEHOLDER.fullmatch(segment) is not None


_PLACEHOLDER: Final = re.compile(r"\{\w+\}")


class RulesPolicy:
    """A security policy made of channel rules. Nobody gets in without having been authenticated."""

    def __init__(self, rules: Iterable[ChannelRule]) -> None:
        self._rules = tuple(rules)

    def can_handshake(self, session: ServerSession, message: Handshake) -> bool:
        """Whether authentication found who it is."""
        return session.identity is not None

    def can_create(self, session: ServerSession | None, channel: ChannelId) -> bool:
        """Whether a rule grants it."""
        return self._granted(Operation.CREATE, channel, session)

    def can_subscribe(self, session: ServerSession, channel: ChannelId) -> bool:
        """Whether a rule grants it."""
        return self._granted(Operation.SUBSCRIBE, channel, session)

    def can_publish(self, session: ServerSession | None, message: Publish) -> bool:
        """Whether a rule grants it."""
        return self._granted(Operation.PUBLISH, message.channel, session)

    def _granted(self, operation: Operation, channel: ChannelId, session: ServerSession | None) -> bool:
        if session is None or session.identity is None:
            return False
        return any(rule.grants(operation, channel, session.identity) for rule in self._rules)

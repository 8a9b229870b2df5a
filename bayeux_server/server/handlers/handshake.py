"""``/meta/handshake``."""

import inspect
import re
from functools import partial
from typing import Final

import structlog
from msgspec import UNSET

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.messages import VERSION, Handshake, Reply
from bayeux_server.protocol.session_state import Event
from bayeux_server.server.core import Core
from bayeux_server.server.handlers import Settle
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.origin import Origin
from bayeux_server.server.session import ServerSession
from bayeux_server.server.steps import Steps

log = structlog.get_logger()

_SPOKEN: Final = (1, 0)


class HandshakeHandler:
    """Makes sessions."""

    def __init__(self, core: Core, lifecycle: Lifecycle) -> None:
        self._core = core
        self._lifecycle = lifecycle

    def candidate(self, message: Handshake, origin: Origin) -> ServerSession:
        """Return the session to be: extensions see it before it is registered. A clientId in the message is ignored."""
        session = self._lifecycle.new_session(address=origin.address, transport=origin.transport)
        session.identity = origin.identity
        return session

    def process(
        self, session: ServerSession, message: Handshake, origin: Origin, reply: Reply, settling: list[Settle]
    ) -> Steps[None]:
        """Register the session and complete the reply. A session whose handshake is refused after all ends.

        Raises:
            RemoteError: 300 for a version we do not speak, 301 for no connection type in common, 403 if denied.
            Overloaded: If there is no room for another session.
        """
        if _too_new(message.minimum_version):
            raise RemoteError(300, [str(message.minimum_version)], "unsupported_version")
        if not set(message.supported_connection_types) & set(self._core.connection_types):
            raise RemoteError(301, message.supported_connection_types[:10], "no_common_connection_type")
        allowed = self._core.policy.can_handshake(session, message)
        if allowed is not True and inspect.isawaitable(allowed):
            allowed = yield allowed
        if not allowed:
            raise RemoteError(403, (), "handshake_denied")
        settling.append(partial(self._settle, session, reply))
        self._core.binding.bind(session, origin)
        self._core.sessions.add(session)
        self._core.observer.session_added(session)
        self._lifecycle.expect_connect(session)
        reply.clientId = session.id
        reply.version = reply.minimumVersion = VERSION
        reply.supportedConnectionTypes = self._core.connection_types
        reply.advice = self._core.advice()
        if session.resume_token is not None:
            reply.extend("resume", session.resume_token)
        log.info("session.began", session=session.short_id, transport=session.transport, user=session.user_id)

    def _settle(self, session: ServerSession, reply: Reply, successful: bool) -> None:
        if not successful:
            self._lifecycle.end(session, Event.DISCONNECT, "refused")
            reply.clientId = reply.ext = UNSET  # neither its id nor its resume token is worth anything


def _too_new(minimum_version: str | None) -> bool:
    """Whether the oldest version the client can live with is above ours. ``2.0`` without a minimum gets a 1.0."""
    if minimum_version is None:
        return False
    numbers = tuple(int(number) for number in re.findall(r"\d+", minimum_version)[:2])
    return numbers > _SPOKEN

"""Ends sessions whose user does nothing: connects alone, which any forgotten page sends, do not keep a session.

A session that sent nothing but connects for the set time is disconnected at its next connect, with advice not to come
back by itself.

Source: CometD's reference, "Activity extension".
"""

import asyncio
from typing import Final

import msgspec

from bayeux_server.errors import RemoteError
from bayeux_server.host import ExtensionContext
from bayeux_server.protocol.messages import Connect, Message, Publish, Reply
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from extensions.sections import Milliseconds

REASON: Final = "inactive"

_ACTIVE: Final = "activity.last_s"
_ENDING: Final = "activity.ending"


class ActivitySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[extensions.activity]``."""

    max_inactive_ms: Milliseconds = 3_600_000


class Activity(Extension):
    """Remembers when each session last did something of its own.

    Args:
        max_inactive_s: Seconds a session may do nothing.
    """

    name = "activity"

    def __init__(self, server: BayeuxServer, max_inactive_s: float) -> None:
        self._server = server
        self._clock = server.core.clock
        self._max_inactive_s = max_inactive_s

    def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        """See :meth:`Extension.incoming_meta`.

        Raises:
            RemoteError: 403 for the connect of a session that did nothing for too long.
        """
        if session is None:
            return
        if not isinstance(message, Connect):
            session.attributes[_ACTIVE] = self._clock.now()
        elif self._clock.now() - session.attributes.setdefault(_ACTIVE, self._clock.now()) > self._max_inactive_s:
            session.attributes[_ENDING] = True
            raise RemoteError(403, (), REASON)

    def incoming(self, session: ServerSession | None, message: Publish) -> None:
        """See :meth:`Extension.incoming`."""
        if session is not None:
            session.attributes[_ACTIVE] = self._clock.now()

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        """See :meth:`Extension.outgoing_meta`."""
        if session is not None and session.attributes.pop(_ENDING, False):
            reply.advice = self._server.core.advice("none")
            # Once the reply is on its way: ending the session closes its socket.
            asyncio.get_running_loop().call_soon(self._server.disconnect, session, REASON)


def create(context: ExtensionContext) -> Activity:
    """Return the extension, configured by :class:`ActivitySection`."""
    section = context.read_config(ActivitySection)
    return Activity(context.server, section.max_inactive_ms / 1_000)

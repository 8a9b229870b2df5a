"""Events are kept until the client says that it has them.

The client asks for it with ``ext.ack: true`` in its handshake. From then on events travel only with connect replies,
each of which has a number, ``ext.ack``, from 1 up; each connect says the last number seen. What came with replies up to
that number is forgotten, all else is sent again, in order and before anything new.

Why a number confirms all below it: a reply is numbered in the moment its events are taken, and a connect that comes
after a reply was made and does not confirm it is answered with everything that reply had. So whoever has seen a number
has seen every event that was first sent with it or with a lower one.

Source: CometD's reference, "Acknowledge extension".
"""

from collections.abc import Callable
from typing import Final

import msgspec

from bayeux_server.host import ExtensionContext
from bayeux_server.protocol.messages import META_CONNECT, META_HANDSHAKE, Connect, Handshake, Message, Reply
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Extension, SessionExtension
from bayeux_server.server.session import ServerSession
from extensions.sections import Bytes, Count

#: Connects in a row that confirm nothing, though all that may be kept is kept and more waits. A poor network loses a
#: reply now and then; a client that goes on like this would fill our memory (CVE-2025-53114).
MAX_CONNECTS_WITHOUT_PROGRESS: Final = 3


class AcknowledgeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[extensions.acknowledge]``."""

    max_messages: Count = 1_000
    max_bytes: Bytes = 4_194_304


class Acknowledge(Extension):
    """Gives the sessions that ask for it an :class:`AcknowledgedSession`."""

    name = "acknowledge"

    def __init__(self, server: BayeuxServer, section: AcknowledgeSection) -> None:
        self._server = server
        self._section = section

    def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        """See :meth:`Extension.incoming_meta`."""
        if session is not None and isinstance(message, Handshake) and message.ext and message.ext.get("ack") is True:
            session.extensions += (AcknowledgedSession(self._server, session, self._section),)


class AcknowledgedSession(SessionExtension):
    """Keeps what one session has been sent and has not confirmed.

    Never more than the section allows: what would be beyond waits in the session's queue for the next connect, and a
    client that confirms nothing meanwhile loses its session.
    """

    def __init__(self, server: BayeuxServer, session: ServerSession, section: AcknowledgeSection) -> None:
        self._server = server
        self._section = section
        self._session = session
        self._last_number = 0
        #: What was sent, in order, with the number it was first sent with. Deliveries are equal only to themselves.
        self._kept: dict[Delivery, int] = {}
        self._kept_bytes = 0
        self._without_progress = 0
        session.meta_connect_delivery_only = True
        session.keeps_taken = True
        session.dequeue_listeners += (self._taken,)

    def incoming_meta(self, session: ServerSession, message: Message) -> None:
        """See :meth:`SessionExtension.incoming_meta`. Ends a session that confirms nothing and goes on asking."""
        if not isinstance(message, Connect) or not self._kept:
            return
        confirmed = self._confirm(message.ext.get("ack") if message.ext else None)
        new = [delivery for delivery in session.queue if delivery not in self._kept and delivery not in confirmed]
        is_stuck = bool(new) and not confirmed and self._is_full(new[0].size_bytes)
        self._without_progress = self._without_progress + 1 if is_stuck else 0
        if self._without_progress < MAX_CONNECTS_WITHOUT_PROGRESS:
            session.replace_queue([*self._kept, *new])
        else:
            self._server.disconnect(session, "unacknowledged")

    def cut(self, is_cut: Callable[[Delivery], bool]) -> None:
        """See :meth:`SessionExtension.cut`."""
        for delivery in [delivery for delivery in self._kept if is_cut(delivery)]:
            self._forget(delivery)

    def outgoing_meta(self, session: ServerSession, reply: Reply) -> None:
        """See :meth:`SessionExtension.outgoing_meta`."""
        if reply.successful is not True:
            return
        if reply.channel == META_HANDSHAKE:
            reply.extend("ack", True)
        elif reply.channel == META_CONNECT:
            self._last_number += 1
            reply.extend("ack", self._last_number)

    def _confirm(self, number: object) -> set[Delivery]:
        """Forget what a number confirms and return it. One above the last sent confirms nothing."""
        if type(number) is not int or number > self._last_number:
            return set()
        confirmed = {delivery for delivery, sent_with in self._kept.items() if sent_with <= number}
        for delivery in confirmed:
            self._forget(delivery)
        return confirmed

    def _forget(self, delivery: Delivery) -> None:
        del self._kept[delivery]
        self._kept_bytes -= delivery.size_bytes

    def _taken(self, taken: list[Delivery]) -> None:
        """Keep what goes with the next reply, and put back what is too much to keep."""
        for position, delivery in enumerate(taken):
            if delivery in self._kept:
                continue
            if self._is_full(delivery.size_bytes) and position > 0:
                rest = taken[position:]
                del taken[position:]
                self._session.replace_queue([*rest, *self._session.queue])
                return
            self._kept[delivery] = self._last_number + 1
            self._kept_bytes += delivery.size_bytes

    def _is_full(self, more_bytes: int = 0) -> bool:
        return len(self._kept) >= self._section.max_messages or self._kept_bytes + more_bytes > self._section.max_bytes


def create(context: ExtensionContext) -> Acknowledge:
    """Return the extension, configured by :class:`AcknowledgeSection`."""
    return Acknowledge(context.server, context.read_config(AcknowledgeSection))

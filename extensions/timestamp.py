"""Server messages say when they were made: field ``timestamp``, ISO 8601 in UTC with milliseconds.

Source: Bayeux 1.0, "timestamp message field".
"""

from datetime import UTC, datetime

from bayeux_server.host import ExtensionContext
from bayeux_server.protocol.messages import Publication, Reply
from bayeux_server.server.clock import Clock
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from extensions.sections import NoKeys


class Timestamp(Extension):
    """Stamps replies and events. An event told again by replay has the time at which it was told again."""

    name = "timestamp"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        """See :meth:`Extension.outgoing_meta`."""
        reply.timestamp = self._now()

    def outgoing(self, publication: Publication, delivery: Delivery) -> None:
        """See :meth:`Extension.outgoing`."""
        delivery.add("timestamp", self._now())

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self._clock.wall(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def create(context: ExtensionContext) -> Timestamp:
    """Return the extension. Its section has no keys."""
    context.read_config(NoKeys)
    return Timestamp(context.server.core.clock)

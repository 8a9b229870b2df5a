"""What the server tells those who count. The Prometheus side is :mod:`bayeux_server.metrics`."""

from bayeux_server.server.session import ServerSession


class Observer:
    """Told of what happens, per message or publication, never per delivery. Override what is counted.

    Attributes:
        received_bytes: Of WebSockets, framing included, and of the messages in requests. Transports add to it; a call
            would cost more than the sum.
        sent_bytes: The same on the way out, event streams included.
    """

    def __init__(self) -> None:
        self.received_bytes = 0
        self.sent_bytes = 0

    def message(self, kind: str, error: str | None) -> None:
        """A message of a kind, such as ``publish``, was processed; ``error`` in wire form if it was refused."""

    def delivered(self, deliveries: int) -> None:
        """A publication was queued for that many sessions."""

    def session_added(self, session: ServerSession) -> None:
        """A handshake passed."""

    def session_removed(self, session: ServerSession, reason: str) -> None:
        """A session ended."""

    def processed(self, seconds: float) -> None:
        """A batch was processed in that time, holding not included."""

    def dropped(self, events: int) -> None:
        """That many events were dropped from a queue that was full."""

    def unreadable(self, *, too_big: bool) -> None:
        """A body or frame could not be read, or was too big to be."""

    def shed(self, limit: str) -> None:
        """A request, session or socket was turned away or let go by a limit, such as ``too_many_sessions``."""

    def held(self, change: int) -> None:
        """A connect is held (1) or let go (-1)."""

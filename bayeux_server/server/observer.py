"""What the server tells those who count. The Prometheus side is :mod:`bayeux_server.metrics`."""

from bayeux_server.server.session import ServerSession


class Observer:
    """Told of what happens, per message or publication, never per delivery. Override what is counted."""

    def message(self, kind: str, error: str | None) -> None:
        """A message of a kind, such as ``publish``, was processed; ``error`` in wire form if it was refused."""

    def delivered(self, deliveries: int) -> None:
        """A publication was queued for that many sessions."""

    def session_added(self, session: ServerSession) -> None:
        """A handshake passed."""

    def session_removed(self, session: ServerSession, reason: str) -> None:
        """A session ended."""

    def held(self, change: int) -> None:
        """A connect is held (1) or let go (-1)."""

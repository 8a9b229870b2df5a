"""A broker for one node."""

from collections.abc import Callable

from bayeux_server.errors import LocalError
from bayeux_server.protocol.messages import Publication


class MemoryBroker:
    """Hands every publication straight back. See :class:`bayeux_server.ports.Broker`."""

    def __init__(self) -> None:
        self._on_publication: Callable[[Publication], None] | None = None
        #: Never called: nothing is lost within a process.
        self.on_gap: list[Callable[[int | None], None]] = []

    async def start(self, on_publication: Callable[[Publication], None]) -> None:
        """See :meth:`Broker.start`."""
        self._on_publication = on_publication

    def publish(self, publication: Publication) -> None:
        """See :meth:`Broker.publish`.

        Raises:
            LocalError: If it was not started, or is stopped.
        """
        if self._on_publication is None:
            raise LocalError("the broker is not running")
        self._on_publication(publication)

    async def stop(self) -> None:
        """See :meth:`Broker.stop`."""
        self._on_publication = None

    def unready(self) -> str | None:
        """See :meth:`Broker.unready`."""
        return None if self._on_publication else "not started"

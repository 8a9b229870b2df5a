"""The connections that stay open, WebSockets and event streams, within limits."""

from collections import Counter
from collections.abc import Iterator
from typing import Protocol


class LastingConnection(Protocol):
    """A WebSocket or an event stream."""

    def go_away(self) -> None:
        """Answer the held connects and close, because the server stops."""


class OpenSockets:
    """What is open now.

    Args:
        max_sockets: Connections in all.
        max_per_address: Connections of one address.
    """

    def __init__(self, max_sockets: int, max_per_address: int) -> None:
        self._max_sockets = max_sockets
        self._max_per_address = max_per_address
        self._sockets: set[LastingConnection] = set()
        self._per_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._sockets)

    def __iter__(self) -> Iterator[LastingConnection]:
        return iter(list(self._sockets))

    def full(self, address: str) -> str | None:
        """Return which limit leaves no room for another one of an address, None if there is room."""
        if len(self._sockets) >= self._max_sockets:
            return "too_many_sockets"
        return "too_many_sockets_of_address" if self._per_address[address] >= self._max_per_address else None

    def add(self, socket: LastingConnection, address: str) -> None:
        """Count one that has opened."""
        self._sockets.add(socket)
        self._per_address[address] += 1

    def discard(self, socket: LastingConnection, address: str) -> None:
        """Forget one that is gone."""
        self._sockets.remove(socket)
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]

"""Stands between a socket and aiohttp's protocol once a connection is a WebSocket."""

import asyncio
from collections.abc import Callable

from bayeux_server.transports.frames import MaskCheck


class SocketGuard(asyncio.Protocol):
    """Hands everything on to the protocol it replaces, and tells what that protocol keeps to itself.

    Args:
        inner: aiohttp's protocol.
        on_data: Called after data arrived, with its length in bytes.
        on_paused: Called with True when the transport's buffer is full, with False when it has drained.
        on_unmasked: Called instead of handing on a frame that is not masked.
    """

    def __init__(
        self,
        inner: asyncio.Protocol,
        on_data: Callable[[int], None],
        on_paused: Callable[[bool], None],
        on_unmasked: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._on_data = on_data
        self._on_paused = on_paused
        self._on_unmasked = on_unmasked
        self._check = MaskCheck()

    def data_received(self, data: bytes) -> None:
        """See :meth:`asyncio.Protocol.data_received`."""
        if self._check.feed(data):
            self._inner.data_received(data)
            self._on_data(len(data))
        else:
            self._on_unmasked()

    def eof_received(self) -> bool | None:
        """See :meth:`asyncio.Protocol.eof_received`."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """See :meth:`asyncio.BaseProtocol.pause_writing`."""
        self._inner.pause_writing()
        self._on_paused(True)

    def resume_writing(self) -> None:
        """See :meth:`asyncio.BaseProtocol.resume_writing`."""
        self._inner.resume_writing()
        self._on_paused(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """See :meth:`asyncio.BaseProtocol.connection_lost`."""
        self._on_paused(False)
        self._inner.connection_lost(exc)

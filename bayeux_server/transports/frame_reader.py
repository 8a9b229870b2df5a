"""WebSocket frames of a client, read by aiohttp's compiled parser without the queue and the task it comes with."""

from collections.abc import Callable
from typing import Any, Final

# The queue's name is not public, and the compiled parser accepts nothing else; the version is pinned, and
# tests/unit/transports/test_frame_reader.py would tell if a new one read in another way.
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketError, WebSocketReader

from bayeux_server.transports.frames import CLOSE_PROTOCOL_ERROR, MaskCheck

#: ``WSMessage`` of aiohttp: the kind, its payload (bytes; a close has its code instead), and a word about it.
Frame = tuple[int, Any, str]


_read: Final = WebSocketReader.feed_data


class FrameReader(WebSocketReader):
    """Cuts what a socket receives into whole messages and control frames.

    Args:
        on_frame: Called with each, in the call that brings its last byte.
        on_broken: Called with the close code and what is wrong; nothing is read after that.
        max_message_bytes: Of a message, whole.
    """

    def __init__(
        self, on_frame: Callable[[Frame], None], on_broken: Callable[[int, str], None], max_message_bytes: int
    ) -> None:
        # Text is decoded by who reads the JSON, and checked there.
        super().__init__(_Sink(on_frame, on_broken), max_message_bytes, False, False)
        self._is_masked = MaskCheck().feed
        self._on_broken = on_broken
        self._is_broken = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:  # type: ignore[override]  # sockets bring nothing else
        """Read on. What is returned is aiohttp's word for having read it all."""
        if self._is_masked(data):
            return _read(self, data)
        if not self._is_broken:
            self._is_broken = True
            self._on_broken(CLOSE_PROTOCOL_ERROR, "frames of clients are masked")
        return True, b""


class _Sink(WebSocketDataQueue):
    """Hands on at once what aiohttp would queue.

    Its base is not set up on purpose: a queue without a limit that is never filled needs no room.
    """

    def __init__(self, on_frame: Callable[[Frame], None], on_broken: Callable[[int, str], None]) -> None:
        self._on_frame = on_frame
        self._on_broken = on_broken
        self._is_broken = False

    def feed_data(self, data: Any, size: int) -> None:
        kind, body, about = data
        # What came in parts is a bytearray, and so is what a ping brought.
        self._on_frame((kind, bytes(body), about) if type(body) is bytearray else data)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        self._on_broken(exc.code if isinstance(exc, WebSocketError) else CLOSE_PROTOCOL_ERROR, str(exc))

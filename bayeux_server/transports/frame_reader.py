"""WebSocket frames of a client: a message that comes alone is read here, all else by aiohttp's compiled parser."""

from collections.abc import Callable

from aiohttp.http import WebSocketReader

from bayeux_server.transports.frame_sink import Frame, FrameSink
from bayeux_server.transports.frames import CLOSE_PROTOCOL_ERROR, FrameWatch, whole_message


class FrameReader:
    """Cuts what a socket receives into whole messages and control frames.

    Args:
        on_frame: Called with each, in the call that brings its last byte.
        on_broken: Called with the close code and what is wrong; nothing is read after that.
        max_message_bytes: Of a message, whole.
    """

    __slots__ = ("_is_broken", "_max_message_bytes", "_on_broken", "_on_frame", "_stream", "_watch")

    def __init__(
        self, on_frame: Callable[[Frame], None], on_broken: Callable[[int, str], None], max_message_bytes: int
    ) -> None:
        # Text is decoded by who reads the JSON, and checked there.
        self._stream = WebSocketReader(FrameSink(on_frame, on_broken), max_message_bytes, False, False)
        self._watch = FrameWatch()
        self._on_frame = on_frame
        self._on_broken = on_broken
        self._max_message_bytes = max_message_bytes
        self._is_broken = False

    def feed_data(self, data: bytes) -> None:
        """Read on."""
        if self._is_broken:
            return
        if self._watch.is_between_messages():
            message = whole_message(data)
            if message is not None and len(message) <= self._max_message_bytes:
                self._on_frame((data[0] & 0x0F, message, ""))
                return
        if self._watch.feed(data):
            self._is_broken = self._stream.feed_data(data)[0]
        else:
            self._is_broken = True
            self._on_broken(CLOSE_PROTOCOL_ERROR, "frames of clients are masked")

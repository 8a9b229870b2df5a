"""Where aiohttp's WebSocket parser leaves what it has read, without the queue and the task it comes with.

Never to be compiled: the parser would take the compiled methods for those of its own queue, which is not set up.
"""

from collections.abc import Callable
from typing import Any

# The queue's name is not public, and the compiled parser accepts nothing else; the version is pinned, and
# tests/unit/transports/test_frame_reader.py would tell if a new one read in another way.
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketError

from bayeux_server.transports.frames import CLOSE_PROTOCOL_ERROR

#: ``WSMessage`` of aiohttp: the opcode, its payload (bytes; a close has its code instead), and a word about it.
Frame = tuple[int, Any, str]


class FrameSink(WebSocketDataQueue):
    """Hands on at once what aiohttp would queue.

    Its base is not set up on purpose: a queue without a limit that is never filled needs no room.
    """

    def __init__(self, on_frame: Callable[[Frame], None], on_broken: Callable[[int, str], None]) -> None:
        self._on_frame = on_frame
        self._on_broken = on_broken

    def feed_data(self, data: Any, size: int) -> None:
        """Take a message or a control frame."""
        kind, body, about = data
        # What came in parts is a bytearray, and so is what a ping brought.
        self._on_frame((kind, bytes(body), about) if type(body) is bytearray else data)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Take what breaks the protocol."""
        self._on_broken(exc.code if isinstance(exc, WebSocketError) else CLOSE_PROTOCOL_ERROR, str(exc))

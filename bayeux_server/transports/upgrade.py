"""A WebSocket's opening handshake. Source: RFC 6455, sections 1.3 and 4.2."""

import base64
import binascii
import hashlib
from typing import Final

from bayeux_server.protocol.msgpack_wire import SUBPROTOCOL

_SUFFIX: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16


def accept(key: bytes) -> str:
    """Return what proves to the client that its ``Sec-WebSocket-Key`` was read."""
    return base64.b64encode(hashlib.sha1(key + _SUFFIX, usedforsecurity=False).digest()).decode()


def is_key(key: bytes) -> bool:
    """Whether it is a ``Sec-WebSocket-Key``: 16 bytes in base 64."""
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


def chosen_protocol(offered: str) -> str | None:
    """Return the sub-protocol we speak, if a ``Sec-WebSocket-Protocol`` header offers it."""
    return SUBPROTOCOL if SUBPROTOCOL in map(str.strip, offered.split(",")) else None

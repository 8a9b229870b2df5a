"""Bayeux as MessagePack: the WebSocket sub-protocol ``bayeux.msgpack``.

The same messages in binary frames, for back-end services. Values are kept, spelling is not: ``1e2`` arrives as the
float 100.0. Integers beyond 64 bits, which MessagePack lacks, travel as extension type 1 holding their decimal digits.
"""

import json
from typing import Any, Final

import msgpack
import msgspec

from bayeux_server.errors import BodyError

SUBPROTOCOL: Final = "bayeux.msgpack"
BIG_INTEGER: Final = 1


def to_json(body: bytes) -> bytes:
    """Return a frame's messages as JSON.

    Raises:
        BodyError: If the frame is not MessagePack, or holds what JSON cannot say (binary, NaN, infinity, odd keys).
    """
    try:
        values = msgpack.unpackb(body, ext_hook=_from_extension)
        return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise BodyError(f"not MessagePack that JSON can carry: {type(error).__name__}") from None


def from_json(body: bytes) -> bytes:
    """Return a JSON text, ours or checked before, as MessagePack."""
    packed: bytes = msgpack.packb(msgspec.json.decode(body), default=_to_extension)
    return packed


def _from_extension(code: int, digits: bytes) -> int:
    if code != BIG_INTEGER or len(digits) > 4_000:
        raise ValueError("unknown extension type")
    return int(digits)


def _to_extension(value: Any) -> msgpack.ExtType:
    return msgpack.ExtType(BIG_INTEGER, str(value).encode())

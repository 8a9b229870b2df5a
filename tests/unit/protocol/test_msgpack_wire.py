import msgpack
import pytest

from bayeux_server.errors import BodyError
from bayeux_server.protocol.msgpack_wire import BIG_INTEGER, from_json, to_json


class TestMessagePack:
    def test_carries_integers_of_any_length(self) -> None:
        digits = b"[123456789012345678901234567890,-123456789012345678901234567890]"
        assert to_json(from_json(digits)) == digits

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\xc1",
            b"\x92\x01",
            msgpack.packb([b"bytes"]),
            msgpack.packb([float("nan")]),
            msgpack.packb([float("inf")]),
            msgpack.packb(msgpack.ExtType(2, b"1")),
            msgpack.packb(msgpack.ExtType(BIG_INTEGER, b"x")),
            msgpack.packb(msgpack.ExtType(BIG_INTEGER, b"1" * 5_000)),
            msgpack.packb([1]) + b"\x01",
        ],
    )
    def test_refuses_what_json_cannot_say(self, body: bytes) -> None:
        with pytest.raises(BodyError):
            to_json(body)

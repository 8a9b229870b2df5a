import pytest

from bayeux_server.transports.frames import (
    FrameWatch,
    close_frame,
    packed_event,
    text_event,
    text_frame,
    whole_message,
)


class TestFrames:
    @pytest.mark.parametrize(
        ("size", "head"),
        [
            (0, b"\x81\x00"),
            (125, b"\x81\x7d"),
            (126, b"\x81\x7e\x00\x7e"),
            (65_535, b"\x81\x7e\xff\xff"),
            (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        ],
    )
    def test_length_is_written_in_the_shortest_form(self, size: int, head: bytes) -> None:
        assert text_frame(b"a" * size) == head + b"a" * size

    def test_event_is_an_array_of_one(self) -> None:
        assert text_event(b'{"a":1}') == b'\x81\x09[{"a":1}]'
        assert packed_event(b'{"a":1}') == b"\x82\x05\x91\x81\xa1a\x01"

    def test_close_reason_fits_a_control_frame(self) -> None:
        assert close_frame(1007, "x") == b"\x88\x03\x03\xefx"
        assert len(close_frame(1007, "a" * 500)) == 2 + 125


def _masked(payload: bytes, *, opcode: int = 1) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 65_536:
        head = bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + b"mask" + payload


def _frame_of(message: bytes, first: int = 0x81) -> bytes:
    return bytes([first]) + _masked(bytes(byte ^ b"mask"[at % 4] for at, byte in enumerate(message)))[1:]


class TestWholeMessage:
    @pytest.mark.parametrize("size", [2, 3, 124, 125, 126, 128, 134, 256, 65_535])
    def test_is_what_a_frame_carries_that_came_alone(self, size: int) -> None:
        message = bytes(at % 251 for at in range(size))
        assert whole_message(_frame_of(message)) == message

    @pytest.mark.parametrize("opcode", [0x0, 0x8, 0x9, 0xA])
    def test_is_not_in_other_frames(self, opcode: int) -> None:
        assert whole_message(_frame_of(b"abcd", 0x80 | opcode)) is None

    @pytest.mark.parametrize(
        "data",
        [
            _frame_of(b"ab", 0x01),
            _frame_of(b"ab", 0xC1),
            _frame_of(b"ab") + _frame_of(b"cd"),
            _frame_of(b"a" * 200)[:-1],
            _frame_of(b"a" * 65_536),
            b"\x81\x06abcdef",
            b"\x81\x80" + bytes(132),
            b"\x81\xfe",
            b"",
        ],
        ids=["a part", "compressed", "two", "cut", "long", "not masked", "more than it says", "a head", "nothing"],
    )
    def test_is_not_in_what_is_no_whole_frame_or_more(self, data: bytes) -> None:
        assert whole_message(data) is None


class TestFrameWatch:
    @pytest.mark.parametrize("step", [1, 2, 7, 100, 1_000_000])
    def test_follows_masked_frames_however_they_are_cut(self, step: int) -> None:
        stream = b"".join(_masked(b"\x00\x01" * (size // 2)) for size in (0, 2, 124, 126, 200, 65_536, 4))
        watch = FrameWatch()
        assert all(watch.feed(stream[at : at + step]) for at in range(0, len(stream), step))
        assert not watch.feed(b"\x81\x02[]")

    @pytest.mark.parametrize("step", [1, 2, 3, 100])
    def test_finds_one_without_a_mask_behind_others(self, step: int) -> None:
        stream = _masked(b"abc") + b"\x81\x02[]"
        watch = FrameWatch()
        assert not all(watch.feed(stream[at : at + step]) for at in range(0, len(stream), step))

import pytest

from bayeux_server.transports.frames import MaskCheck, close_frame, packed_event, text_event, text_frame


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


class TestMaskCheck:
    @pytest.mark.parametrize("step", [1, 2, 7, 100, 1_000_000])
    def test_follows_masked_frames_however_they_are_cut(self, step: int) -> None:
        stream = b"".join(_masked(b"\x00\x01" * (size // 2)) for size in (0, 2, 124, 126, 200, 65_536, 4))
        check = MaskCheck()
        assert all(check.feed(stream[at : at + step]) for at in range(0, len(stream), step))
        assert not check.feed(b"\x81\x02[]")

    @pytest.mark.parametrize("step", [1, 2, 3, 100])
    def test_finds_one_without_a_mask_behind_others(self, step: int) -> None:
        stream = _masked(b"abc") + b"\x81\x02[]"
        check = MaskCheck()
        assert not all(check.feed(stream[at : at + step]) for at in range(0, len(stream), step))

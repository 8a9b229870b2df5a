"""What is counted on of aiohttp's parser, which is used below its public interface."""

import pytest
from aiohttp import WSMsgType

from bayeux_server.transports.frame_reader import FrameReader
from bayeux_server.transports.frame_sink import Frame

MASK = b"\x01\x02\x03\x04"


def frame(payload: bytes, head: int = 0x81) -> bytes:
    """Return a client's frame."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    masked = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))
    return bytes([head]) + length + MASK + masked


class Log:
    def __init__(self, max_message_bytes: int = 1_000) -> None:
        self.frames: list[tuple[int, object]] = []
        self.broken: list[int] = []
        self.reader = FrameReader(self._on_frame, lambda code, _: self.broken.append(code), max_message_bytes)

    def _on_frame(self, frame: Frame) -> None:
        self.frames.append((frame[0], frame[1]))


class TestFrameReader:
    @pytest.mark.parametrize("step", [1, 3, 1_000])
    def test_hands_on_each_message_whole_in_the_call_that_brings_its_last_byte(self, step: int) -> None:
        log = Log()
        stream = frame(b"[1]") + frame(b"[" + b" " * 200, 0x01) + frame(b"2]", 0x80) + frame(b"\x91\x03", 0x82)
        for at in range(0, len(stream), step):
            log.reader.feed_data(stream[at : at + step])
        text = b"[" + b" " * 200 + b"2]"
        assert log.frames == [(WSMsgType.TEXT, b"[1]"), (WSMsgType.TEXT, text), (WSMsgType.BINARY, b"\x91\x03")]
        assert not log.broken

    def test_a_message_that_comes_alone_is_read_as_one_among_others(self) -> None:
        log = Log()
        parts = [
            frame(b"[1]"),
            frame(b"[" * 200, 0x01),
            frame(b"]" * 200, 0x80),
            frame(b"\x91\x03", 0x82),
            frame(b"", 0x89),
            frame(b"2" * 300),
        ]
        for part in parts:
            log.reader.feed_data(part)
        together = Log()
        together.reader.feed_data(b"".join(parts))
        assert log.frames == together.frames
        assert [kind for kind, _ in log.frames] == [1, 1, 2, 9, 1]

    def test_text_is_not_decoded(self) -> None:
        log = Log()
        log.reader.feed_data(frame(b"\xff"))
        assert log.frames == [(WSMsgType.TEXT, b"\xff")]

    def test_hands_on_control_frames_between_the_parts_of_a_message(self) -> None:
        log = Log()
        log.reader.feed_data(frame(b"[", 0x01) + frame(b"p", 0x89) + frame(b"q", 0x8A) + frame(b"]", 0x80))
        assert log.frames == [(WSMsgType.PING, b"p"), (WSMsgType.PONG, b"q"), (WSMsgType.TEXT, b"[]")]

    def test_a_close_has_its_code(self) -> None:
        log = Log()
        log.reader.feed_data(frame((1000).to_bytes(2, "big") + b"bye", 0x88))
        assert log.frames == [(WSMsgType.CLOSE, 1000)]

    @pytest.mark.parametrize("alone", [True, False])
    def test_a_message_among_the_parts_of_another_breaks_the_protocol(self, alone: bool) -> None:
        log = Log()
        first, second = frame(b"[", 0x01), frame(b"[1]")
        for data in (first, second) if alone else (first + second,):
            log.reader.feed_data(data)
        assert log.broken == [1002]
        assert not log.frames

    @pytest.mark.parametrize(
        ("stream", "code"),
        [
            (frame(b"a" * 1_001), 1009),
            (frame(b"a" * 600, 0x01) + frame(b"a" * 600, 0x80), 1009),
            (frame(b"a", 0x83), 1002),
            (frame(b"a", 0xC1), 1002),
            (frame(b"a", 0x80), 1002),
            (b"\x81\x02[]", 1002),
        ],
        ids=["too big", "too big in parts", "unknown kind", "compressed", "continues nothing", "not masked"],
    )
    def test_reads_nothing_after_what_breaks_the_protocol(self, stream: bytes, code: int) -> None:
        log = Log()
        log.reader.feed_data(stream)
        log.reader.feed_data(frame(b"[]"))
        assert log.broken == [code]
        assert not log.frames

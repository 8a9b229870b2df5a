"""However the frames of a client are cut into packets, they are read as aiohttp's parser reads them all at once."""

import itertools

from aiohttp.http import WebSocketReader
from hypothesis import given
from hypothesis import strategies as st

from bayeux_server.transports.frame_reader import FrameReader
from bayeux_server.transports.frame_sink import Frame, FrameSink

MAX_MESSAGE_BYTES = 300
HEADS = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0x83]


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Return a masked frame of any kind, now and then a wrong one."""
    payload = draw(st.binary(max_size=4) | st.integers(120, 310).map(bytes))
    mask = draw(st.binary(min_size=4, max_size=4))
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([draw(st.sampled_from(HEADS))]) + length + mask + masked


class Heard:
    def __init__(self) -> None:
        self.all: list[object] = []

    def on_frame(self, frame: Frame) -> None:
        self.all.append((int(frame[0]), frame[1]))

    def on_broken(self, code: int, _: str) -> None:
        self.all.append(int(code))


@given(st.lists(frames(), max_size=6), st.data())
def test_frames_are_read_the_same_however_they_are_cut(sent: list[bytes], data: st.DataObject) -> None:
    stream, ours, theirs = b"".join(sent), Heard(), Heard()
    WebSocketReader(FrameSink(theirs.on_frame, theirs.on_broken), MAX_MESSAGE_BYTES, False, False).feed_data(stream)
    reader = FrameReader(ours.on_frame, ours.on_broken, MAX_MESSAGE_BYTES)
    ends = {sum(map(len, sent[:count])) for count in range(len(sent) + 1)}
    cuts = sorted({0, len(stream)} | data.draw(st.sets(st.sampled_from(sorted(ends)) | st.integers(0, len(stream)))))
    for start, end in itertools.pairwise(cuts):
        reader.feed_data(stream[start:end])
    assert ours.all == theirs.all

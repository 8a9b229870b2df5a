"""The mark that every published message carries: which stream, which number in it, and when it was due.

22 hexadecimal digits after ``~~``, at fixed offsets, so that a receiver slices it out of the raw bytes instead of
parsing JSON: 5 digits of stream number, 8 of sequence number, 9 of microseconds since the run's origin (19 hours).
"""

from dataclasses import dataclass, field

SIGN = b"~~"
STREAM_DIGITS, SEQUENCE_DIGITS, TIME_DIGITS = 5, 8, 9
MARK_DIGITS = STREAM_DIGITS + SEQUENCE_DIGITS + TIME_DIGITS
MAX_STREAMS = 16**STREAM_DIGITS

_TIME_BITS, _SEQUENCE_BITS = TIME_DIGITS * 4, SEQUENCE_DIGITS * 4
_TIME_MASK, _SEQUENCE_MASK = (1 << _TIME_BITS) - 1, (1 << _SEQUENCE_BITS) - 1
_PADDING = "The quick brown fox jumps over the lazy dog and runs on. "

HEAD, MIDDLE, TAIL = b'{"m":"~~', b'","x":"', b'"}'
MIN_PAYLOAD_BYTES = len(HEAD) + MARK_DIGITS + len(MIDDLE) + len(TAIL)

Mark = tuple[int, int, int]
"""Stream number, sequence number in the stream (from 0), scheduled time in microseconds since the run's origin."""


def parse_mark(digits: bytes) -> Mark:
    """Return the mark written as ``MARK_DIGITS`` hexadecimal digits.

    Raises:
        ValueError: If they are no such digits.
    """
    if len(digits) != MARK_DIGITS:
        raise ValueError("the mark is cut short")
    number = int(digits, 16)
    return number >> (_TIME_BITS + _SEQUENCE_BITS), number >> _TIME_BITS & _SEQUENCE_MASK, number & _TIME_MASK


@dataclass(slots=True)
class Stream:
    """Messages of one publisher on one channel, numbered from 0: what a subscriber can expect in order.

    Attributes:
        number: Unique in the run, below ``MAX_STREAMS``.
        channel: Where it is published.
        publisher: Index of the client that publishes it.
        next_sequence: Number of the next message, which is also how many were sent.
    """

    number: int
    channel: str
    publisher: int
    next_sequence: int = 0
    _before: bytes = field(default=b"", repr=False)
    _after: bytes = field(default=b"", repr=False)

    def prepare(self, client_id: str, payload_bytes: int) -> None:
        """Build once what all messages of this stream share, for a session's ``client_id`` and a size in bytes."""
        head = f'{{"channel":"{self.channel}","clientId":"{client_id}","data":'.encode()
        self._before = head + HEAD + b"%05x" % self.number
        self._after = MIDDLE + padding(payload_bytes).encode() + TAIL

    def message(self, scheduled_us: int) -> bytes:
        """Return the next publish of this stream as one JSON object, due at ``scheduled_us`` after the origin."""
        sequence = self.next_sequence
        self.next_sequence = sequence + 1
        return b'%b%08x%09x%b,"id":"%x"}' % (self._before, sequence, scheduled_us, self._after, sequence)


def padding(payload_bytes: int) -> str:
    """Return the text that fills ``data`` up to ``payload_bytes`` bytes of JSON; empty if the mark alone fills it."""
    room = max(0, payload_bytes - MIN_PAYLOAD_BYTES)
    return (_PADDING * (room // len(_PADDING) + 1))[:room]

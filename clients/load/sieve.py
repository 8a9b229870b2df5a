"""Finds the marks of deliveries in raw bytes, and the replies among them; parses whole payloads only where it must."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from clients.load.mark import MARK_DIGITS, SIGN, Mark, parse_mark
from clients.load.websocket_wire import FINAL, TEXT, split_frames

# A payload is parsed whole when it brings the first sight of a message whose sequence number is a multiple of this.
CHECK_EVERY = 64
# Forgotten all at once above this many entries: what is remembered pays within milliseconds or never.
MEMORY_ENTRIES = 8_192
# Longer chunks (many joined frames) seldom come twice, and are cheap to take apart per delivery.
MEMORY_CHUNK_BYTES = 16_384
# What :attr:`Sieve.remembers` may be.
EVERY_CHUNK, SINGLE_FRAMES, NOTHING = 1_000_000, 1, 0

_MARKS = re.compile(SIGN + b"([0-9a-f]{%d})" % MARK_DIGITS).findall

Check = Callable[[object], bool]
"""Whether one decoded event is exactly what was published: channel, mark, padding, and no clientId of the publisher."""


class Sieve:
    """Takes payloads (JSON text of one frame or body) apart; one for all sessions of a process.

    The subscribers of one channel receive the same bytes at about the same time, so what was found in them is
    remembered: a look-up in a dictionary instead of a search, 0.15 us for 300 bytes.

    Attributes:
        remembers: Chunks of up to so many deliveries are remembered. Subscribers of the same channels get the same
            bytes, however many frames are joined; where they are in different ones, only a frame that came alone comes
            again; where each has a channel of its own, remembering only costs.
        chunks: Marks by the exact bytes of whole frames that held nothing but deliveries.
        malformed: Payloads that were not what was published, or no JSON at all.
        foreign: Events without a mark: somebody else publishes on our channels.
    """

    def __init__(self, check: Check, *, remembers: int = EVERY_CHUNK) -> None:
        self.remembers = remembers
        self.chunks: dict[bytes, tuple[Mark, ...]] = {}
        self.malformed = 0
        self.foreign = 0
        self._marks: dict[bytes, Mark] = {}
        self._check = check

    def remember(self, chunk: bytes, marks: tuple[Mark, ...]) -> None:
        """Remember that ``chunk`` holds ``marks`` and nothing else."""
        if len(marks) <= self.remembers and len(chunk) <= MEMORY_CHUNK_BYTES:
            if len(self.chunks) >= MEMORY_ENTRIES:
                self.chunks.clear()
            self.chunks[chunk] = marks

    def scan(self, chunk: bytes) -> list[Mark] | None:
        """Return the marks in ``chunk``, any number of whole text frames; None if there is more in it than deliveries.

        One search over all frames, some 0.3 us each, where :meth:`take` on every payload costs 1 us.
        """
        if b'"successful"' in chunk or b'"/meta/' in chunk:
            return None
        known = self._marks
        return [known.get(digits) or self._first_sight(digits, chunk) for digits in _MARKS(chunk)] or None

    def take(self, payload: bytes) -> tuple[list[Mark], list[dict[str, Any]]]:
        """Return the marks of the deliveries in ``payload`` in their order, and its replies, decoded."""
        marks = [self._marks.get(digits) or self._first_sight(digits, payload) for digits in _MARKS(payload)]
        if marks and b'"successful"' not in payload and b'"/meta/' not in payload:
            return marks, []
        return marks, self._replies(payload, bool(marks))

    def _first_sight(self, digits: bytes, data: bytes) -> Mark:
        mark = parse_mark(digits)
        if len(self._marks) >= MEMORY_ENTRIES:
            self._marks.clear()
        self._marks[digits] = mark
        if mark[1] % CHECK_EVERY == 0:
            self._check_whole(digits, data)
        return mark

    def _check_whole(self, digits: bytes, data: bytes) -> None:
        # ``data`` is a payload or whole frames; a frame's head is no JSON, so the payload is cut out of it.
        payload = data
        if data[0] == FINAL | TEXT:
            payload = next((payload for _, payload in split_frames(data)[0] if digits in payload), b"")
        events = [message for message in self._decode(payload) if "successful" not in message]
        self.malformed += sum(not self._check(event) for event in events)

    def _replies(self, payload: bytes, has_deliveries: bool) -> list[dict[str, Any]]:
        messages = self._decode(payload)
        replies = [message for message in messages if _is_reply(message)]
        if not has_deliveries:
            self.foreign += len(messages) - len(replies)
        return replies

    def _decode(self, payload: bytes) -> list[dict[str, Any]]:
        try:
            decoded = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.malformed += 1
            return []
        messages = decoded if isinstance(decoded, list) else [decoded]
        if not all(isinstance(message, dict) for message in messages):
            self.malformed += 1
        return [message for message in messages if isinstance(message, dict)]


def _is_reply(message: dict[str, Any]) -> bool:
    return "successful" in message or str(message.get("channel", "")).startswith("/meta/")

"""Answers kept for those who ask again."""

from collections import OrderedDict
from hashlib import sha256

import msgspec

from bayeux_server.server.clock import Clock


class Stored(msgspec.Struct):
    """An answer that was given; None while it is being worked out."""

    body_hash: bytes
    due_s: float
    answer: tuple[int, bytes] | None = None


def hash_of(body: bytes) -> bytes:
    """Return what a body is known by."""
    return sha256(body).digest()


class IdempotencyKeys:
    """The answers of the last requests that carried a key, so that a retry publishes nothing twice.

    Args:
        keep_s: Seconds an answer is kept.
        max_answers: Answers kept; the oldest go first.
        max_bytes: Bytes of them; likewise.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        keep_s: float = 86_400.0,
        max_answers: int = 100_000,
        max_bytes: int = 67_108_864,
    ) -> None:
        self._clock = clock
        self._keep_s = keep_s
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._bytes = 0
        self._stored: OrderedDict[tuple[str, str], Stored] = OrderedDict()

    def begin(self, key: tuple[str, str], body: bytes) -> Stored | None:
        """Return what is stored under a user's key, or None and store that a request is under way."""
        self._forget_old()
        stored = self._stored.get(key)
        if stored is None:
            self._stored[key] = Stored(hash_of(body), self._clock.now() + self._keep_s)
        return stored

    def end(self, key: tuple[str, str], answer: tuple[int, bytes] | None) -> None:
        """Store the answer; None forgets the key, for a request that failed may be tried again."""
        if answer is None:
            self._stored.pop(key, None)
        elif key in self._stored:
            self._stored[key].answer = answer
            self._bytes += len(answer[1])

    def _forget_old(self) -> None:
        while self._stored and not self._fits():
            _, oldest = self._stored.popitem(last=False)
            if oldest.answer is not None:
                self._bytes -= len(oldest.answer[1])

    def _fits(self) -> bool:
        oldest = next(iter(self._stored.values()))
        is_in_time = oldest.due_s > self._clock.now()
        return is_in_time and len(self._stored) < self._max_answers and self._bytes < self._max_bytes

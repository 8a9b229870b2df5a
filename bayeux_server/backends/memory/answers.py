"""Answers kept in this process."""

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from bayeux_server.ports import Answer, Kept


class _Entry(msgspec.Struct):
    kept: Kept
    due_s: float


class MemoryAnswers:
    """Keeps answers in memory. See :class:`bayeux_server.ports.Answers`.

    Args:
        now: Tells seconds that never go back.
        keep_s: Seconds an answer is kept.
        max_answers: Answers kept; the oldest go first.
        max_bytes: Bytes of them; likewise.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        keep_s: float = 86_400.0,
        max_answers: int = 100_000,
        max_bytes: int = 67_108_864,
    ) -> None:
        self._now = now
        self._keep_s = keep_s
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    async def start(self) -> None:
        """See :meth:`Answers.start`."""

    async def begin(self, user_id: str, key: str, body_hash: bytes) -> Kept | None:
        """See :meth:`Answers.begin`."""
        self._forget_old()
        entry = self._entries.get((user_id, key))
        if entry is not None:
            return entry.kept
        self._entries[user_id, key] = _Entry(Kept(body_hash), self._now() + self._keep_s)
        return None

    async def end(self, user_id: str, key: str, body_hash: bytes, answer: Answer | None) -> None:
        """See :meth:`Answers.end`."""
        if answer is None:
            self._entries.pop((user_id, key), None)
        elif (user_id, key) in self._entries:
            self._entries[user_id, key].kept = Kept(body_hash, answer)
            self._bytes += len(answer[1])

    async def stop(self) -> None:
        """See :meth:`Answers.stop`."""

    def _forget_old(self) -> None:
        while self._entries and not self._fits():
            _, oldest = self._entries.popitem(last=False)
            if oldest.kept.answer is not None:
                self._bytes -= len(oldest.kept.answer[1])

    def _fits(self) -> bool:
        is_in_time = next(iter(self._entries.values())).due_s > self._now()
        return is_in_time and len(self._entries) < self._max_answers and self._bytes < self._max_bytes

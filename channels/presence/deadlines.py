"""Which of many keys is due next: one heap in place of a timer per key. Pure: time is an argument."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

#: Outdated heap entries tolerated beyond one per key before the heap is built anew.
_SLACK = 64


class Deadlines(Generic[Key]):
    """The moment of each key, in integer milliseconds, and the earliest of them.

    A key has one moment. Moving it later (a renewed lease, by far the most frequent change) is one dict write: the old
    heap entry stays and is put right when it surfaces. Memory stays within twice the number of keys and a constant.
    """

    def __init__(self) -> None:
        self._moments: dict[Key, int] = {}
        self._heap: list[tuple[int, int, Key]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._moments)

    def set(self, key: Key, at_ms: int | None) -> None:
        """Give ``key`` its moment; None forgets the key."""
        if at_ms is None:
            self._moments.pop(key, None)
            return
        before = self._moments.get(key)
        self._moments[key] = at_ms
        if before is None or at_ms < before:
            self._push(at_ms, key)

    def next_ms(self) -> int | None:
        """Return the earliest moment, or None if no key has one."""
        while self._heap:
            at_ms, _, key = self._heap[0]
            actual_ms = self._moments.get(key)
            if actual_ms == at_ms:
                return at_ms
            heappop(self._heap)
            if actual_ms is not None and actual_ms > at_ms:
                self._push(actual_ms, key)
        return None

    def pop_due(self, now_ms: int, limit: int | None = None) -> list[tuple[Key, int]]:
        """Remove and return up to ``limit`` keys whose moment is at or before ``now_ms``, earliest first, with it."""
        due: list[tuple[Key, int]] = []
        while len(due) != limit and (at_ms := self.next_ms()) is not None and at_ms <= now_ms:
            _, _, key = heappop(self._heap)
            del self._moments[key]
            due.append((key, at_ms))
        return due

    def _push(self, at_ms: int, key: Key) -> None:
        # The serial number decides between equal moments, so that keys are never compared.
        self._serial += 1
        heappush(self._heap, (at_ms, self._serial, key))
        if len(self._heap) > 2 * len(self._moments) + _SLACK:
            self._heap = [(moment, serial, each) for serial, (each, moment) in enumerate(self._moments.items())]
            self._serial = len(self._heap)
            heapify(self._heap)

"""One heap for every hold, expiry and interval: thousands of sessions wait without a task each."""

import heapq
from collections.abc import Callable

import structlog

log = structlog.get_logger()


class Timer:
    """A callback due at a time. ``cancel()`` may be called at any moment, again and again."""

    __slots__ = ("_callback", "when_s")

    def __init__(self, when_s: float, callback: Callable[[], object]) -> None:
        self.when_s = when_s
        self._callback: Callable[[], object] | None = callback

    def __lt__(self, other: "Timer") -> bool:
        return self.when_s < other.when_s

    @property
    def pending(self) -> bool:
        """Whether it has neither run nor been cancelled."""
        return self._callback is not None

    def cancel(self) -> None:
        """Forget the callback. The heap drops the entry when its time comes, or at the next rebuild."""
        self._callback = None

    def fire(self) -> None:
        """Run the callback, once."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Timers:
    """The timers of a server.

    Args:
        arm: Called with the time, in the clock's seconds, at which :meth:`run_due` wants to be called next, whenever
            that becomes earlier.
    """

    #: Below this size the cancelled entries are not worth a rebuild.
    _SMALLEST_REBUILD = 1_024
    #: Sessions whose connections went together end together, thousands of them; sockets are looked at in between.
    _MOST_AT_ONCE = 100

    def __init__(self, arm: Callable[[float], object]) -> None:
        self._arm = arm
        self._heap: list[Timer] = []
        self._armed_for_s = float("inf")
        self._rebuild_at = self._SMALLEST_REBUILD

    def __len__(self) -> int:
        return sum(timer.pending for timer in self._heap)

    def call_at(self, when_s: float, callback: Callable[[], object]) -> Timer:
        """Have ``callback`` called at ``when_s``, in the clock's seconds."""
        timer = Timer(when_s, callback)
        heapq.heappush(self._heap, timer)
        if len(self._heap) > self._rebuild_at:
            self._rebuild()
        if when_s < self._armed_for_s:
            self._armed_for_s = when_s
            self._arm(when_s)
        return timer

    def run_due(self, now_s: float) -> bool:
        """Run what is due, earliest first. A callback that raises is logged and does not stop the others.

        Returns:
            Whether more is due: that was too much at once, and ``arm`` was called for the rest.
        """
        heap = self._heap
        left = self._MOST_AT_ONCE
        while left and heap and heap[0].when_s <= now_s:
            timer = heapq.heappop(heap)
            left -= timer.pending
            try:
                timer.fire()
            except Exception:
                log.exception("timer.failed")
        while heap and not heap[0].pending:
            heapq.heappop(heap)
        self._armed_for_s = heap[0].when_s if heap else float("inf")
        if heap:
            self._arm(self._armed_for_s)
        return self._armed_for_s <= now_s

    def _rebuild(self) -> None:
        # In place: run_due may be walking this very list.
        self._heap[:] = [timer for timer in self._heap if timer.pending]
        heapq.heapify(self._heap)
        self._rebuild_at = max(self._SMALLEST_REBUILD, 2 * len(self._heap))

"""Rests between turns of the loop while messages come one by one, so that one look at the sockets finds several."""

from collections.abc import Callable


class Pace:
    """Keeps busy turns a least time apart.

    To wake for one message costs as much CPU as to process it. So, while one turn follows closely on another, the loop
    sleeps until that time is over; what came meanwhile is found in one look. A message that comes after a pause never
    waits, and one among many waits no longer than the time given.

    Args:
        min_turn_s: How far apart turns with output begin at least.
        now: Seconds of a clock that never goes back.
        sleep: Blocks for some seconds, such as :func:`time.sleep`; whatever else comes due waits as long.
    """

    def __init__(self, min_turn_s: float, now: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self._min_turn_s = min_turn_s
        self._now = now
        self._sleep = sleep
        self._turn_began_s = float("-inf")

    def rest(self) -> None:
        """Sleep what is left of this turn's time. Called when its output has been written."""
        now_s = self._now()
        left_s = self._turn_began_s + self._min_turn_s - now_s
        if left_s > 0:
            self._sleep(left_s)
            now_s += left_s
        self._turn_began_s = now_s

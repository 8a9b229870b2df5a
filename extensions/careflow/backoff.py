"""How long to wait before the next try."""

import random
from collections.abc import Callable


class Backoff:
    """Doubling waits with full jitter above a half, so that nodes that failed together do not return together.

    Args:
        first_s: Wait after the first failure, in seconds.
        longest_s: No wait is longer.
        jitter: Returns a number from 0 up to 1.
    """

    def __init__(self, first_s: float, longest_s: float, jitter: Callable[[], float] = random.random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter

    def delay_s(self, failures: int) -> float:
        """Return the wait after so many failures in a row, in seconds; 1 is the first."""
        # The exponent is bounded because a power of two beyond a float's range is an error.
        whole: float = min(self._longest_s, self._first_s * 2.0 ** min(failures - 1, 64))
        return whole * (0.5 + self._jitter() / 2)

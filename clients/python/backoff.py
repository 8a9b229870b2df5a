"""How long to wait before the next try."""

import random
from collections.abc import Callable


class Backoff:
    """Doubles from try to try, and draws at random below that, so that clients of a lost server return spread out.

    Args:
        first_s: Upper bound of the first wait, seconds.
        longest_s: Upper bound of any wait, seconds.
        draw: Returns a number from 0 to 1.
    """

    def __init__(
        self, *, first_s: float = 0.25, longest_s: float = 30.0, draw: Callable[[], float] = random.random
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._draw = draw
        self._tries = 0

    def next_s(self) -> float:
        """Return the seconds to wait now."""
        bound_s = min(self._longest_s, self._first_s * 2.0 ** min(self._tries, 32))
        self._tries += 1
        # Half is sure, half is drawn: never a busy loop, never all at once.
        return bound_s * (0.5 + self._draw() / 2)

    def reset(self) -> None:
        """Begin anew after a success."""
        self._tries = 0

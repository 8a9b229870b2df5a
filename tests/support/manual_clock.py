"""A clock that stands still until a test moves it."""

from collections.abc import Callable

START_S = 1_000.0
START_WALL_S = 1_700_000_000.0


class ManualClock:
    """Implements :class:`bayeux_server.server.clock.Clock`.

    Attributes:
        on_advance: Called after each :meth:`advance`, such as to run the timers that became due.
    """

    def __init__(self) -> None:
        self._passed_s = 0.0
        self.on_advance: list[Callable[[], object]] = []

    def now(self) -> float:
        """Return seconds that never go back."""
        return START_S + self._passed_s

    def wall(self) -> float:
        """Return seconds since 1970."""
        return START_WALL_S + self._passed_s

    def advance(self, seconds: float) -> None:
        """Let time pass, all at once."""
        self._passed_s += seconds
        for callback in self.on_advance:
            callback()

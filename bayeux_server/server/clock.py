"""Time, as something one can replace in a test."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Everything below takes it from here or as an argument."""

    def now(self) -> float:
        """Return seconds that never go back, for deadlines."""

    def wall(self) -> float:
        """Return seconds since 1970, UTC, for what people and other machines read."""


class SystemClock:
    """The machine's clock. ``now()`` is the time base of asyncio's event loops."""

    def now(self) -> float:
        """See :meth:`Clock.now`."""
        return time.monotonic()

    def wall(self) -> float:
        """See :meth:`Clock.wall`."""
        return time.time()

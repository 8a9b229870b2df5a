"""Asks the history, and again when it is back."""

import asyncio
from collections.abc import Awaitable, Callable
from random import uniform
from typing import Final, TypeVar

import structlog

from bayeux_server.ports import History
from bayeux_server.server.clock import Clock
from bayeux_server.server.timers import Timers

log = structlog.get_logger()

#: The longest from one try to the next; half of it at least, so that sessions do not all ask at once.
RETRY_S: Final = 2.0
#: Tries that may fail in a row while the history calls itself ready: it notices late that it is away.
MAX_TRIES: Final = 10

Answer = TypeVar("Answer")


class Asking:
    """Puts questions to a history that may be away for a while."""

    def __init__(self, history: History, clock: Clock, timers: Timers) -> None:
        self._history = history
        self._clock = clock
        self._timers = timers
        self._pauses: set[asyncio.Event] = set()

    def wake(self) -> None:
        """Ask again at once: something was kept just now."""
        for passed in self._pauses:
            passed.set()

    async def ask(self, question: Callable[[], Awaitable[Answer]], is_over: Callable[[], bool]) -> Answer | None:
        """Return the answer, None if nobody wants it any more, or the history cannot be asked though it says it can.

        As long as the history says that it is away this waits: meanwhile nothing can be kept that would be missed.
        """
        for number in range(MAX_TRIES):
            try:
                return await question()
            except OSError:
                if number == 0:
                    log.warning("replay.history_unreachable")
            while not await self._pause() and self._history.unready() is not None and not is_over():
                pass
            if is_over():
                break
        return None

    async def _pause(self) -> bool:
        """Wait for the next try. Returns whether something woke it before its time."""
        passed = asyncio.Event()
        timer = self._timers.call_at(self._clock.now() + uniform(RETRY_S / 2, RETRY_S), passed.set)
        self._pauses.add(passed)
        try:
            await passed.wait()
            return timer.pending
        finally:
            self._pauses.discard(passed)
            timer.cancel()

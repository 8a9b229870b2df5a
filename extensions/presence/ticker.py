"""Calls something again when it says it has work: one timer, one call at a time."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bayeux_server.server.clock import Clock
from bayeux_server.server.timers import Timer, Timers

log = structlog.get_logger()


class Ticker:
    """Runs ``tick`` at the moments asked for, and at least once every ``longest_s``.

    A tick that fails is logged and tried again after ``longest_s``; meanwhile :attr:`failing` says why.

    Args:
        timers: The server's.
        clock: The one the timers go by.
        tick: Returns seconds until it wants to be called again, or None.
        longest_s: Longest time between two ticks.
    """

    def __init__(
        self, timers: Timers, clock: Clock, tick: Callable[[], Awaitable[float | None]], *, longest_s: float
    ) -> None:
        self._timers = timers
        self._clock = clock
        self._tick = tick
        self._longest_s = longest_s
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self.failing: str | None = None

    def wake(self, in_s: float) -> None:
        """Have a tick within ``in_s`` seconds."""
        if self._stopped:
            return
        when_s = self._clock.now() + min(in_s, self._longest_s)
        timer = self._timer
        if timer is not None and timer.pending:
            if timer.when_s <= when_s:
                return
            timer.cancel()
        self._timer = self._timers.call_at(when_s, self._fire)

    async def stop(self) -> None:
        """Run no more ticks; wait for one under way."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await self._task

    def _fire(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        else:
            # One is under way: what became due meanwhile is looked at right after it.
            self._task.add_done_callback(lambda _: self.wake(0.0))

    async def _run(self) -> None:
        try:
            due_in_s = await self._tick()
            if self.failing is not None:
                log.info("presence.recovered")
            self.failing = None
        except Exception as error:
            due_in_s = None
            if self.failing is None:
                log.exception("presence.tick_failed")
            self.failing = type(error).__name__
        self.wake(self._longest_s if due_in_s is None else due_in_s)

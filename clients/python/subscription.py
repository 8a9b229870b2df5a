"""A subscription as its user holds it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Protocol, Self

import structlog

from clients.python.events import Event, Gap
from clients.python.positions import Positions

log = structlog.get_logger()

Callback = Callable[[Event], object]

#: In place of an id: all that the server keeps.
ALL_KEPT: Final = -2


class Owner(Protocol):
    """What a subscription needs of its client."""

    async def forget(self, subscription: "Subscription") -> None:
        """End it on the server too, if it was the last of its channel."""

    def tell_gap(self, gap: Gap) -> None:
        """Tell the user that events may be missing."""


class Subscription:
    """Events of one channel or pattern, as an async iterator or by callback; of several uses at once each gets all.

    Events wait until they are taken, at most ``max_waiting``; beyond that the oldest go, and the client's ``on_gap``
    hears of it.

    Args:
        callback: Called with each event, one after the other; what it returns is awaited if it can be, and may use the
            client. A callback that raises is logged, and the next event follows. None to iterate instead.
        replay_from: Where to begin in the server's history: an id, -2 for all that is kept, None for new events.
        ext: Extension fields of the subscribe message.

    Attributes:
        channel: The channel or pattern.
    """

    def __init__(
        self,
        owner: Owner,
        channel: str,
        callback: Callback | None,
        *,
        replay_from: int | None,
        ext: dict[str, Any],
        max_waiting: int,
    ) -> None:
        self.channel = channel
        self.ext = ext
        self._owner = owner
        self._replay_from = None if replay_from == -1 else replay_from
        self._positions = Positions(wants_past=self._replay_from is not None)
        self._waiting: deque[Event] = deque()
        self._max_waiting = max_waiting
        self._is_dropping = False
        self._arrived = asyncio.Event()
        self._ended = False
        self._problem: Exception | None = None
        self._calling = asyncio.create_task(self._call(callback)) if callback is not None else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.unsubscribe()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._ended:
                if self._problem is not None:
                    raise self._problem
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        event = self._waiting.popleft()
        if not self._waiting:
            self._is_dropping = False
        return event

    async def unsubscribe(self) -> None:
        """Stop the events. The iterator, or the callbacks, end after those that have arrived."""
        if not self._ended:
            self.end(None)
            await self._owner.forget(self)

    # ---- for the client

    @property
    def is_pattern(self) -> bool:
        """Whether it is for more than one channel."""
        return self.channel.endswith("*")

    @property
    def wants_all(self) -> bool:
        """Whether all that the server keeps was asked for."""
        return self._replay_from == ALL_KEPT

    def end(self, problem: Exception | None) -> None:
        """End the iterator; with a problem, it is raised from there."""
        self._ended = True
        self._problem = problem
        self._arrived.set()

    async def stop_calling(self) -> None:
        """End the callbacks at once. Does not wait for the one that asks for it."""
        if self._calling is not None and self._calling is not asyncio.current_task():
            self._calling.cancel()
            await asyncio.wait([self._calling])

    def arrived(self, event: Event) -> None:
        """Take an event, unless it has been seen: after a new connection some are told again."""
        if self._ended:
            return
        if event.replay_id is not None and not self._positions.is_new(event.channel, event.replay_id):
            return
        self._waiting.append(event)
        if len(self._waiting) > self._max_waiting:
            self._waiting.popleft()
            if not self._is_dropping:
                self._is_dropping = True
                self._owner.tell_gap(Gap(self.channel, "events were not taken in time"))
        self._arrived.set()

    def replay(self) -> dict[str, int]:
        """Return what to ask the server's history for: after the last seen, else what the user asked for."""
        wanted = {} if self._replay_from is None else {self.channel: self._replay_from}
        return wanted | self._positions.resume()

    async def _call(self, callback: Callback) -> None:
        while True:
            try:
                event = await anext(self)
            except (StopAsyncIteration, Exception):  # why the client ended, it tells by itself
                return
            try:
                result = callback(event)
                if isinstance(result, Awaitable):
                    await result
            except Exception:
                log.exception("client.callback_failed", channel=self.channel)

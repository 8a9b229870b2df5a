"""A subscription as its user holds it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from clients.python.errors import ClientClosedError
from clients.python.events import Event, Gap

if TYPE_CHECKING:
    from clients.python.client import BayeuxClient

Callback = Callable[[Event], object]


class Subscription:
    """Events of one channel or pattern, as an async iterator or by callback.

    Without a callback events wait until they are taken, at most ``max_waiting``; beyond that the oldest go, and the
    client's ``on_gap`` hears of it.

    Attributes:
        channel: The channel or pattern.
        positions: The last replay id seen of each channel; what a new session resumes after.
    """

    def __init__(
        self,
        client: "BayeuxClient",
        channel: str,
        callback: Callback | None,
        *,
        replay_from: int | None,
        ext: dict[str, Any],
        max_waiting: int,
    ) -> None:
        self.channel = channel
        self.positions: dict[str, int] = {}
        self.replay_from = replay_from
        self.ext = ext
        self._client = client
        self._callback = callback
        self._waiting: deque[Event] = deque()
        self._max_waiting = max_waiting
        self._arrived = asyncio.Event()
        self._ended = False

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
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    async def unsubscribe(self) -> None:
        """Stop the events. The iterator ends after those that have arrived."""
        if not self._ended:
            self.end()
            try:
                await self._client.forget(self)
            except ClientClosedError:
                return  # a closed client has no subscriptions left

    def end(self) -> None:
        """End the iterator; called by the client."""
        self._ended = True
        self._arrived.set()

    def arrived(self, event: Event) -> Awaitable[object] | None:
        """Take an event; called by the client. Returns what an async callback wants to be awaited for."""
        if self._ended:
            return None
        if event.replay_id is not None:
            # Told again after a reconnection: seen before.
            if event.replay_id <= self.positions.get(event.channel, 0):
                return None
            self.positions[event.channel] = event.replay_id
        if self._callback is not None:
            result = self._callback(event)
            return result if isinstance(result, Awaitable) else None
        self._waiting.append(event)
        if len(self._waiting) > self._max_waiting:
            self._waiting.popleft()
            self._client.tell_gap(Gap(self.channel, "events were not taken in time"))
        self._arrived.set()
        return None

    def replay(self) -> dict[str, int]:
        """Return what to ask the server's history for: after the last seen, else what the user asked for."""
        wanted = {} if self.replay_from is None else {self.channel: self.replay_from}
        return wanted | self.positions

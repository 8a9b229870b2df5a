"""Many small writes as few large ones: one round trip for all that came in a turn of the loop."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH_ITEMS: Final = 500
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024


class Batches(Generic[Item, Result]):
    """Collects items while the batch before them is on its way. One batch at a time, so their order is kept.

    Args:
        send: Sends items and returns a result for each.
        size_bytes: Tells the size of an item.
        max_waiting: Items that may wait; further ones are refused.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        size_bytes: Callable[[Item], int],
        *,
        max_waiting: int = 10_000,
    ) -> None:
        self._send = send
        self._size_bytes = size_bytes
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """Send an item with those that wait, and return its result.

        Raises:
            OSError: If too many wait, or sending failed.
        """
        if len(self._waiting) >= self._max_waiting:
            raise ConnectionError("too many writes wait for Redis")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def close(self, timeout_s: float) -> None:
        """Wait until all is sent, at most so long; then what is left fails."""
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._task
        while self._waiting:
            _fail([self._waiting.popleft()[1]], ConnectionError("closed"))

    async def _run(self) -> None:
        while self._waiting:
            batch = self._next()
            futures = [future for _, future in batch]
            try:
                results = await self._send([item for item, _ in batch])
            except asyncio.CancelledError:
                _fail(futures, ConnectionError("closed"))
                raise
            except Exception as error:
                _fail(futures, error)
                continue
            for future, result in zip(futures, results, strict=True):
                if not future.done():
                    future.set_result(result)

    def _next(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch = [self._waiting.popleft()]
        size_bytes = self._size_bytes(batch[0][0])
        while self._waiting and len(batch) < MAX_BATCH_ITEMS:
            size_bytes += self._size_bytes(self._waiting[0][0])
            if size_bytes > MAX_BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch


def _fail(futures: Sequence["asyncio.Future[Result]"], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)

"""The audit log as the rest of the server uses it: offers events, and is slowed down by a full queue, never ignored."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog

from extensions.audit.segments import Segments

log = structlog.get_logger()

Event = Mapping[str, Any]


class AuditLog:
    """A bounded queue before :class:`Segments`. While one batch is written in a thread, the next one gathers.

    Args:
        segments: Where records go.
        max_queue: Events that may wait.
        max_batch: Events written and synced together.
        retry_s: Pause after a write that failed, seconds; it is repeated for ever.
        stop_s: How long to go on trying when the server stops, seconds.
    """

    def __init__(
        self,
        segments: Segments,
        *,
        max_queue: int,
        max_batch: int = 500,
        retry_s: float = 1.0,
        stop_s: float = 10.0,
    ) -> None:
        self._segments = segments
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._retry_s = retry_s
        self._stop_s = stop_s
        self._queue: deque[Event] = deque()
        self._moved = asyncio.Condition()
        self._filled = asyncio.Event()
        self._written = 0
        self._offered = 0
        self._writing: asyncio.Task[None] | None = None
        self._failure: str | None = "not started"

    def __len__(self) -> int:
        return self._offered - self._written

    @property
    def written(self) -> int:
        """How many events are on the disk, since the start."""
        return self._written

    async def start(self) -> None:
        """Find the end of the chain and begin to write.

        Raises:
            LocalError: If the log cannot be continued.
            OSError: If the folder cannot be used.
        """
        await asyncio.to_thread(self._segments.open)
        self._failure = None
        self._writing = asyncio.create_task(self._write(), name="audit")

    async def stop(self) -> None:
        """Write what waits, for as long as ``stop_s`` allows, then close."""
        if self._writing is not None:
            try:
                async with asyncio.timeout(self._stop_s):
                    await self.flush()
            except TimeoutError:
                log.critical("audit.events_lost", events=len(self))
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        self._failure = "stopped"
        await asyncio.to_thread(self._segments.close)

    def unready(self) -> str | None:
        """Return why events cannot be written now, None if they can."""
        return self._failure

    def offer(self, event: Event) -> bool:
        """Take an event if there is room. If there is none, what it tells of must wait until :meth:`put` returns."""
        if len(self) >= self._max_queue:
            return False
        self._queue.append(event)
        self._offered += 1
        self._filled.set()
        return True

    async def put(self, event: Event) -> None:
        """Take an event, waiting for room."""
        while not self.offer(event):
            async with self._moved:
                await self._moved.wait_for(lambda: len(self) < self._max_queue)

    async def flush(self) -> None:
        """Return when everything taken so far is on the disk."""
        due = self._offered
        async with self._moved:
            await self._moved.wait_for(lambda: self._written >= due)

    async def _write(self) -> None:
        while True:
            await self._filled.wait()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch))]
            if not self._queue:
                self._filled.clear()
            await self._write_batch(batch)
            async with self._moved:
                self._written += len(batch)
                self._moved.notify_all()

    async def _write_batch(self, batch: list[Event]) -> None:
        while True:
            try:
                await asyncio.to_thread(self._segments.append, batch)
            except OSError as error:
                self._failure = error.strerror or type(error).__name__
                log.exception("audit.write_failed", waiting=len(self))
                await asyncio.sleep(self._retry_s)
            else:
                self._failure = None
                return

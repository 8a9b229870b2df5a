"""The audit log as the server uses it: what is taken is written at once, and a disk that lags slows but never drops."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog

from extensions.audit.segments import Segments

log = structlog.get_logger()

Event = Mapping[str, Any]


class AuditLog:
    """Writes events as they come, and has them synced to the disk together, as many as came meanwhile.

    An event that was taken is with the operating system: what it tells of may be shown, and a process that is killed a
    moment later has recorded it.

    Args:
        segments: Where records go.
        max_queue: Events that may wait for the disk.
        retry_s: Pause after a write or sync that failed, seconds; it is repeated for ever.
        stop_s: How long to go on trying when the server stops, seconds.
    """

    def __init__(self, segments: Segments, *, max_queue: int, retry_s: float = 1.0, stop_s: float = 10.0) -> None:
        self._segments = segments
        self._max_queue = max_queue
        self._retry_s = retry_s
        self._stop_s = stop_s
        self._moved = asyncio.Condition()
        self._work = asyncio.Event()
        self._taken = 0
        self._synced = 0
        self._syncing: asyncio.Task[None] | None = None
        self._failure: str | None = "not started"

    def __len__(self) -> int:
        return self._taken - self._synced

    @property
    def written(self) -> int:
        """How many events are on the disk, since the start."""
        return self._synced

    async def start(self) -> None:
        """Find the end of the chain and begin to write.

        Raises:
            LocalError: If the log cannot be continued.
            OSError: If the folder cannot be used.
        """
        await asyncio.to_thread(self._segments.open)
        self._failure = None
        self._syncing = asyncio.create_task(self._sync_on(), name="audit")
        await self._tell_moved()

    async def stop(self) -> None:
        """Sync what was written, for as long as ``stop_s`` allows, then close."""
        if self._syncing is not None:
            try:
                async with asyncio.timeout(self._stop_s):
                    await self.flush()
            except TimeoutError:
                log.critical("audit.not_synced", events=len(self))
            self._syncing.cancel()
            with suppress(asyncio.CancelledError):
                await self._syncing
        self._failure = "stopped"
        await asyncio.to_thread(self._segments.close)

    def unready(self) -> str | None:
        """Return why events cannot be written now, None if they can."""
        return self._failure

    def offer(self, event: Event) -> bool:
        """Take an event if that is possible. If it is not, what it tells of must wait until :meth:`put` returns."""
        if not self._may_take():
            return False
        try:
            self._segments.write(event)
        except OSError as error:
            self._fail(error)
            return False
        else:
            self._taken += 1
            return True
        finally:
            self._work.set()

    async def put(self, event: Event) -> None:
        """Take an event, waiting until that is possible."""
        while not self.offer(event):
            async with self._moved:
                await self._moved.wait_for(self._may_take)

    async def flush(self) -> None:
        """Return when everything taken so far is on the disk."""
        due = self._taken
        async with self._moved:
            await self._moved.wait_for(lambda: self._synced >= due)

    def _may_take(self) -> bool:
        return self._failure is None and len(self) < self._max_queue and not self._segments.is_full

    async def _sync_on(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            if self._failure is not None:
                await asyncio.sleep(self._retry_s)
            taken = self._taken
            try:
                await asyncio.to_thread(self._segments.sync)
                if self._segments.is_full and self._taken == taken:
                    await asyncio.to_thread(self._segments.turn)
            except OSError as error:
                self._fail(error)
                self._work.set()
            else:
                self._synced, self._failure = taken, None
                await self._tell_moved()

    def _fail(self, error: OSError) -> None:
        self._failure = error.strerror or type(error).__name__
        log.error("audit.write_failed", error=self._failure, waiting=len(self))

    async def _tell_moved(self) -> None:
        async with self._moved:
            self._moved.notify_all()

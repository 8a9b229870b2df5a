"""One partition on the event loop: its records one after the other, for as long as each takes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from extensions.careflow.backoff import Backoff
from extensions.careflow.metrics import Meters
from extensions.careflow.ports import Handle
from extensions.careflow.records import Record

log = structlog.get_logger()

Sleep = Callable[[float], Awaitable[object]]
#: Tells where a record that cannot be used is; ``OSError`` means that it has not been told.
Bury = Callable[[Record, Exception], Awaitable[None]]

#: Records after which others get a turn of the loop, as handlers may not wait at all.
_TURN: Final = 32


class LaneParts:
    """What all lanes of a bus share."""

    def __init__(
        self, handle: Handle, bury: Bury, backoff: Backoff, meters: Meters, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.handle = handle
        self.bury = bury
        self.backoff = backoff
        self.meters = meters
        self.sleep = sleep


class Lane:
    """Handles the records of one partition in order.

    A passing failure (``OSError``) is tried again until it passes: it shows as lag, and no other partition waits for
    it. Any other error is for ever; its record becomes a dead letter.

    Args:
        parts: See :class:`LaneParts`.
        settled: Called with each record that was delivered or buried. Not called for what a close cuts off.
    """

    def __init__(self, parts: LaneParts, settled: Callable[[Record], None]) -> None:
        self._parts = parts
        self._settled = settled
        self._records: deque[Record] = deque()
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._go_on = asyncio.Event()
        self._go_on.set()
        self._closing = False
        self._task = asyncio.create_task(self._run())

    def put(self, records: Sequence[Record]) -> None:
        """Add records. Who reads them keeps their number within bounds: :class:`extensions.careflow.flow.Flow`."""
        self._records.extend(records)
        self._filled.set()

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record that waits was written, None if none waits."""
        return self._records[0].timestamp_ms if self._records else None

    async def hold(self) -> None:
        """Begin no further record, and return when the one under way is done."""
        self._go_on.clear()
        await self._idle.wait()

    def go_on(self) -> None:
        """Undo :meth:`hold`."""
        self._go_on.set()

    async def close(self, grace_s: float) -> None:
        """Stop after the record under way; cut it off after ``grace_s`` seconds."""
        self._closing = True
        self._filled.set()
        self._go_on.set()
        done, _ = await asyncio.wait({self._task}, timeout=grace_s)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        turn = 0
        while not self._closing:
            if not self._records or not self._go_on.is_set():
                await self._rest()
                continue
            record = self._records[0]
            if not await self._finish(record):
                return
            self._records.popleft()
            self._settled(record)
            turn += 1
            if turn % _TURN == 0:
                await asyncio.sleep(0)

    async def _rest(self) -> None:
        self._idle.set()
        await self._go_on.wait()
        if not self._records and not self._closing:
            self._filled.clear()
            await self._filled.wait()
        self._idle.clear()

    async def _finish(self, record: Record) -> bool:
        """Deliver or bury a record; False if the lane was closed before that."""
        failures = 0
        refusal: Exception | None = None
        while not self._closing:
            try:
                if refusal is None:
                    refusal = await self._try(record)
                if refusal is not None:
                    await self._parts.bury(record, refusal)
                    self._parts.meters.dead(refusal)
            except OSError as error:
                failures += 1
                self._parts.meters.retried()
                _tell_retry(record, failures, error)
                await self._parts.sleep(self._parts.backoff.delay_s(failures))
            else:
                return True
        return False

    async def _try(self, record: Record) -> Exception | None:
        """Return why a record can never be used, None once it was."""
        try:
            await self._parts.handle(record)
        except OSError:
            raise
        except Exception as error:
            # No text of the error: unlike ours, those of other libraries may quote the record.
            partition = record.partition
            log.warning(
                "careflow.dead_letter",
                topic=partition.topic,
                partition=partition.number,
                offset=record.offset,
                error=type(error).__name__,
            )
            return error
        return None


def _tell_retry(record: Record, failures: int, error: OSError) -> None:
    # The first, and then ever more rarely: a dependency that is away for an hour is one story.
    if failures & (failures - 1) == 0:
        partition = record.partition
        log.warning(
            "careflow.retry",
            topic=partition.topic,
            partition=partition.number,
            offset=record.offset,
            failures=failures,
            error=type(error).__name__,
        )

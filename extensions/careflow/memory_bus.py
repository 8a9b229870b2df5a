"""The bus of a process of its own: no Kafka, the same promises for as long as the process lives.

What must survive the process is in the outbox: :meth:`MemoryBus.send` returns once an event was handled, so an event
that was not is sent again by the next process.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from bayeux_server.server.clock import Clock
from channels.timestamps import iso_utc_ms
from extensions.careflow.backoff import Backoff
from extensions.careflow.dead_letters import DeadLetter, dead_letter_of
from extensions.careflow.lane import Lane, LaneParts, Sleep
from extensions.careflow.metrics import Meters
from extensions.careflow.ports import Handle, Progress
from extensions.careflow.records import SHOWN_HEADER, BusUnavailableError, Partition, Record

Headers = tuple[tuple[str, bytes], ...]

_PARTITIONS: Final = 8
_MAX_LETTERS: Final = 1_000
_GRACE_S: Final = 1.0


class MemoryBus:
    """See :class:`extensions.careflow.ports.EventBus`.

    Args:
        clock: For when records were written.
        backoff: Waits between tries.
        meters: Counts.
        high_water_records: At so many waiting, further events of that partition are refused for now.
        send_timeout_s: Seconds after which an event that was not handled counts as not sent; it is still tried.
        sleep: How to wait.
    """

    def __init__(
        self,
        clock: Clock,
        backoff: Backoff,
        meters: Meters,
        *,
        high_water_records: int,
        send_timeout_s: float,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.dead_letters = MemoryDeadLetters(self._resend)
        self._clock = clock
        self._backoff = backoff
        self._meters = meters
        self._high_water_records = high_water_records
        self._send_timeout_s = send_timeout_s
        self._sleep = sleep
        self._lanes: list[Lane] = []
        self._offset = 0
        #: Offset of each record that was not settled to whoever waits for that.
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._counts = [0] * _PARTITIONS

    async def start(self, handle: Handle) -> None:
        """See the port."""
        parts = LaneParts(handle, self._bury, self._backoff, self._meters, self._sleep)
        self._lanes = [Lane(parts, self._settled) for _ in range(_PARTITIONS)]

    async def send(self, topic: str, key: str, value: bytes, *, shown: bool = False) -> None:
        """See the port. Returns when the event was handled."""
        headers = ((SHOWN_HEADER, b"1"),) if shown else ()
        await self._resend(topic, key.encode(), value, headers)

    async def stop(self) -> None:
        """See the port. Whoever waits in :meth:`send` is told that the event was not taken."""
        await asyncio.gather(*(lane.close(_GRACE_S) for lane in self._lanes))
        self._lanes = []
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(BusUnavailableError("the bus was stopped"))
        self._waiting.clear()

    def unready(self) -> str | None:
        """See the port."""
        return None if self._lanes else "not started"

    def progress(self) -> Sequence[Progress]:
        """See the port."""
        return [
            Progress(Partition("memory", number), self._counts[number], lane.oldest_ms)
            for number, lane in enumerate(self._lanes)
        ]

    async def _resend(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        number = zlib.crc32(key or b"") % _PARTITIONS
        if not self._lanes or self._counts[number] >= self._high_water_records:
            raise BusUnavailableError("the bus has no room")
        self._offset += 1
        written_ms = int(self._clock.wall() * 1_000)
        record = Record(Partition(topic, number), self._offset, key, value, headers, written_ms)
        handled = asyncio.get_running_loop().create_future()
        self._waiting[record.offset] = handled
        self._counts[number] += 1
        self._lanes[number].put([record])
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await handled
        except TimeoutError:
            self._meters.send_failed()
            raise BusUnavailableError("the event was not handled in time") from None
        self._meters.produced()

    def _settled(self, record: Record) -> None:
        self._counts[record.partition.number] -= 1
        handled = self._waiting.pop(record.offset)
        if not handled.done():
            handled.set_result(None)

    async def _bury(self, record: Record, error: Exception) -> None:
        self.dead_letters.add(dead_letter_of(record, error, iso_utc_ms(self._clock.wall())), record)


class MemoryDeadLetters:
    """The latest dead letters, with their records; the oldest give way."""

    def __init__(self, send: Callable[[str, bytes | None, bytes | None, Headers], Awaitable[None]]) -> None:
        self._send = send
        self._letters: dict[str, tuple[DeadLetter, Record]] = {}

    def add(self, letter: DeadLetter, record: Record) -> None:
        """Keep a dead letter."""
        self._letters[letter.id] = (letter, record)
        if len(self._letters) > _MAX_LETTERS:
            del self._letters[next(iter(self._letters))]

    async def list(self) -> Sequence[DeadLetter]:
        """See the port."""
        return [letter for letter, _ in self._letters.values()]

    async def redrive(self, letter_id: str) -> None:
        """See the port."""
        letter, record = self._letters[letter_id]
        del self._letters[letter_id]
        try:
            await self._send(letter.topic, record.key, record.value, record.headers)
        except BaseException:
            self._letters.setdefault(letter_id, (letter, record))
            raise

"""Reading from Kafka: one thread that polls, and the event loop that delivers.

The thread hands each batch of a partition to the loop with one call, and takes what was delivered from a deque. It is
the only one to touch the consumer, but for kafka-python's own thread, on which the rebalance listener runs.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from extensions.careflow.backoff import Backoff
from extensions.careflow.clients import connect
from extensions.careflow.flow import Flow, Water
from extensions.careflow.records import Partition, Record

log = structlog.get_logger()

_POLL_MS: Final = 100
#: While a partition waits for room, or offsets for their commit, look again sooner.
_BUSY_POLL_MS: Final = 10
#: How long a rebalance waits for records under way. Heartbeats pause meanwhile.
_HOLD_S: Final = 1.0
_CLOSE_MS: Final = 3_000
#: Failures in a row after which the consumer is made anew.
_MAX_FAILURES: Final = 5


class Sink(Protocol):
    """Where records go. Every method is called on the event loop."""

    def take(self, partition: Partition, epoch: int, records: Sequence[Record]) -> None:
        """Deliver records; tell each with :meth:`ConsumerThread.delivered`."""

    def hold(self, held: threading.Event) -> None:
        """Begin no further record of any partition, and set the event when those under way are done."""

    def go_on(self, partitions: Collection[Partition]) -> None:
        """Go on with the records of these partitions, and forget those of all others."""


class ConsumerThread:
    """A member of a consumer group.

    Args:
        options: For ``KafkaConsumer``: connection, security, group.
        pattern: Topics to read.
        sink: Where records go.
        water: When a partition is paused and resumed.
        backoff: Waits after failures.
        commit_interval_s: Seconds between commits.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        pattern: str,
        sink: Sink,
        water: Water,
        backoff: Backoff,
        *,
        commit_interval_s: float,
    ) -> None:
        self._options = options
        self._pattern = f"^(?:{pattern})$"
        self._sink = sink
        self._water = water
        self._backoff = backoff
        self._commit_interval_s = commit_interval_s
        self._delivered: deque[tuple[Partition, int, int, int]] = deque()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._flows: dict[Partition, Flow] = {}
        self._epoch = 0
        self._commits_under_way = 0
        self._failures = 0
        self._lags: dict[Partition, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="careflow-consumer", daemon=True)
        self.failure: str | None = "not started"

    # ---- on the loop

    def start(self) -> None:
        """Start the thread. Called on the event loop that will deliver."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Commit what was delivered, leave the group and end the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def delivered(self, partition: Partition, epoch: int, record: Record) -> None:
        """A record was delivered."""
        self._delivered.append((partition, epoch, record.offset, record.size_bytes))

    def lags(self) -> Mapping[Partition, int]:
        """Return how many records of each partition are there and not delivered."""
        return self._lags

    # ---- on the thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            consumer: Any = None
            try:
                consumer = connect(KafkaConsumer, self._options)
                consumer.subscribe(pattern=self._pattern, listener=_Listener(self, consumer))
                self._read(consumer)
            except Exception as error:
                # Any other exception is the library's own mistake: a new consumer is the remedy for that, too.
                self._tell_failure(error)
                self._stopping.wait(self._backoff.delay_s(self._failures))
            finally:
                if consumer is not None:
                    self._close(consumer)

    def _read(self, consumer: Any) -> None:
        last_commit_s = 0.0
        while not self._stopping.is_set():
            try:
                batches = consumer.poll(timeout_ms=self._poll_ms())
                self._hand_over(consumer, batches)
                self._take_delivered()
                self._resume(consumer)
                now_s = time.monotonic()
                if now_s - last_commit_s >= self._commit_interval_s:
                    last_commit_s = now_s
                    self._commit(consumer)
                    self._measure(consumer)
                self._failures = 0
                self._look_after(consumer)
            except KafkaError as error:
                if self._failures + 1 >= _MAX_FAILURES:
                    raise
                self._tell_failure(error)
                self._stopping.wait(self._backoff.delay_s(self._failures))

    def _look_after(self, consumer: Any) -> None:
        """See whether somebody leads our group. A poll waits for Kafka without a word, and so would we."""
        away = consumer._coordinator.coordinator_id is None  # noqa: SLF001 - there is no public way
        if away and self.failure is None:
            log.warning("careflow.kafka_lost")
        if not away and self.failure is not None:
            log.info("careflow.kafka_reached")
        self.failure = "the group has no coordinator" if away else None

    def _poll_ms(self) -> int:
        with self._lock:
            return _BUSY_POLL_MS if any(flow.paused for flow in self._flows.values()) else _POLL_MS

    def _hand_over(self, consumer: Any, batches: Mapping[Any, Sequence[Any]]) -> None:
        for topic_partition, found in batches.items():
            partition = Partition(*topic_partition)
            records = [_record_of(partition, each) for each in found]
            with self._lock:
                flow = self._flows.get(partition)
                if flow is None:
                    # Not ours any more: its next owner reads them.
                    continue
                flow.took(len(records), sum(record.size_bytes for record in records))
                pause = flow.must_pause and not flow.paused
                flow.paused |= pause
            self._on_loop(self._sink.take, partition, flow.epoch, records)
            if pause:
                consumer.pause(topic_partition)

    def _resume(self, consumer: Any) -> None:
        with self._lock:
            ready = [each for each, flow in self._flows.items() if flow.paused and flow.may_resume]
            for partition in ready:
                self._flows[partition].paused = False
        for partition in ready:
            consumer.resume(TopicPartition(*partition))

    def _take_delivered(self) -> None:
        with self._lock:
            while self._delivered:
                partition, epoch, offset, size_bytes = self._delivered.popleft()
                flow = self._flows.get(partition)
                if flow is not None and flow.epoch == epoch:
                    flow.delivered(offset, size_bytes)

    def _commit(self, consumer: Any) -> None:
        # Commits of one group that overtake each other would take its position back.
        offsets = {} if self._commits_under_way else self._offsets_to_commit()
        if not offsets:
            return
        with self._lock:
            self._commits_under_way += 1
        consumer.commit_async(offsets, callback=self._committed)

    def _committed(self, offsets: Mapping[Any, Any], response: Any) -> None:
        with self._lock:
            self._commits_under_way = max(0, self._commits_under_way - 1)
        self._noted(offsets, response)

    def _noted(self, offsets: Mapping[Any, Any], response: Any) -> None:
        with self._lock:
            if isinstance(response, Exception):
                self._tell_commit_failure(response)
                return
            for topic_partition, offset in offsets.items():
                flow = self._flows.get(Partition(*topic_partition))
                if flow is not None:
                    flow.committed(offset.offset)

    def _offsets_to_commit(self) -> dict[Any, Any]:
        with self._lock:
            found = {partition: flow.to_commit() for partition, flow in self._flows.items()}
        return {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in found.items()
            if offset is not None
        }

    def _measure(self, consumer: Any) -> None:
        lags = {}
        with self._lock:
            flows = dict(self._flows)
        for partition, flow in flows.items():
            topic_partition = TopicPartition(*partition)
            with contextlib.suppress(KafkaError):  # taken away meanwhile
                end = consumer.highwater(topic_partition)
                if end is None:
                    continue
                next_offset = flow.next_offset
                if next_offset is None or not flow.waiting_records:
                    position = consumer.position(topic_partition, timeout_ms=0)
                    next_offset = (end if position is None else position) - flow.waiting_records
                lags[partition] = max(0, end - next_offset)
        self._lags = lags

    def _close(self, consumer: Any) -> None:
        # Leaving the group revokes the partitions, and that commits what was delivered.
        with contextlib.suppress(Exception):
            consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
        with self._lock:
            self._flows.clear()
            self._commits_under_way = 0
        self._lags = {}
        self._on_loop(self._sink.go_on, ())

    def _tell_failure(self, error: Exception) -> None:
        self._failures += 1
        self.failure = type(error).__name__
        # The first, and then ever more rarely: an outage of an hour is one story.
        if self._failures & (self._failures - 1) == 0:
            log.warning("careflow.consumer_failed", failures=self._failures, error=self.failure)

    def _tell_commit_failure(self, error: Exception) -> None:
        if self.failure is None:  # otherwise it is no news
            log.warning("careflow.commit_failed", error=type(error).__name__)

    def _on_loop(self, function: Any, *arguments: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody delivers any more
                self._loop.call_soon_threadsafe(function, *arguments)

    # ---- on kafka-python's thread, while the one above waits in a poll

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """These are our partitions from now on.

        One that was ours before goes on where it stood: kafka-python keeps its position, which is after all that was
        read, and what was read is still here. To forget that would be to lose it.
        """
        with self._lock:
            self._epoch += 1
            self._flows = {
                partition: self._flows.get(partition) or Flow(self._epoch, self._water) for partition in partitions
            }
        self._on_loop(self._sink.go_on, partitions)

    async def revoked(self, consumer: Any) -> None:
        """Partitions are shared out anew: finish what is under way and commit it.

        A rebalance that begins because a topic appeared is forgotten by kafka-python 3.0.12 if a poll ends in its
        middle: the group's new assignment would never arrive, and this member read the old one for ever. To have asked
        for the rebalance ourselves makes it remember.
        """
        consumer._coordinator.request_rejoin()  # noqa: SLF001 - there is no public way
        held = threading.Event()
        self._on_loop(self._sink.hold, held)
        held.wait(_HOLD_S)
        self._take_delivered()
        offsets = self._offsets_to_commit()
        if offsets:
            try:
                await consumer.commit_async(offsets, callback=self._noted)
            except KafkaError as error:
                # Their next owner delivers again what we could not commit.
                self._tell_commit_failure(error)

    async def lost(self) -> None:
        """The group took all partitions away without asking; kafka-python forgets their positions, too."""
        await self.assigned(())


class _Listener:
    """Hears of rebalances: eager ones, in which all partitions are revoked and then all that are ours assigned."""

    def __init__(self, thread: ConsumerThread, consumer: Any) -> None:
        self._thread = thread
        self._consumer = consumer

    async def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        await self._thread.assigned([Partition(*each) for each in assigned])

    async def on_partitions_revoked(self, _revoked: Sequence[Any]) -> None:
        await self._thread.revoked(self._consumer)

    async def on_partitions_lost(self, _lost: Sequence[Any]) -> None:
        await self._thread.lost()


# Registered, because deriving from an untyped library's class would leave this one unchecked.
AsyncConsumerRebalanceListener.register(_Listener)


def _record_of(partition: Partition, found: Any) -> Record:
    return Record(partition, found.offset, found.key, found.value, tuple(found.headers), found.timestamp)

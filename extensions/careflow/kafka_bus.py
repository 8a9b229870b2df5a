"""The bus over Kafka: a consumer thread, a producer thread, and a lane on the event loop for each partition."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Collection, Coroutine, Iterable, Sequence
from typing import Any, Final

import structlog
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from bayeux_server.server.clock import Clock
from channels.timestamps import iso_utc_ms
from extensions.careflow.backoff import Backoff
from extensions.careflow.clients import connect
from extensions.careflow.config import CareflowConfig
from extensions.careflow.connection_log import ConnectionLog
from extensions.careflow.consumer import ConsumerThread
from extensions.careflow.dead_letters import dead_letter_of, encode_letter
from extensions.careflow.flow import Water
from extensions.careflow.kafka_dead_letters import KafkaDeadLetters
from extensions.careflow.lane import Lane, LaneParts, Sleep
from extensions.careflow.metrics import Meters
from extensions.careflow.ports import DeadLetters, Handle, Progress
from extensions.careflow.producer import Message, ProducerThread
from extensions.careflow.records import SHOWN_HEADER, Partition, Record

log = structlog.get_logger()

#: What a record under way gets to finish when its partition is taken away; less than the consumer waits for it.
_GRACE_S: Final = 0.8


class KafkaBus:
    """See :class:`extensions.careflow.ports.EventBus`.

    Args:
        config: With ``bootstrap_servers``.
        clock: For when records became dead letters.
        meters: Counts.
        topics: Made at start if they are missing and the configuration says so.
        sleep: How to wait between tries.
    """

    def __init__(
        self,
        config: CareflowConfig,
        clock: Clock,
        meters: Meters,
        *,
        topics: Iterable[str] = (),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._config = config
        self._clock = clock
        self._meters = meters
        self._topics = tuple(topics) if config.create_topics else ()
        self._sleep = sleep
        self._backoff = Backoff(config.retry_first_ms / 1_000, config.retry_longest_ms / 1_000)
        self._producer = ProducerThread(
            config.connection(),
            meters,
            linger_ms=config.linger_ms,
            send_timeout_ms=config.send_timeout_ms,
            max_waiting=config.max_waiting_sends,
        )
        self._consumer = ConsumerThread(
            _group_options(config),
            config.topics_pattern,
            self,
            Water(config.high_water_records, config.low_water_records, config.high_water_bytes),
            self._backoff,
            commit_interval_s=config.commit_interval_ms / 1_000,
        )
        self._connection_log = ConnectionLog(meters)
        self._reader = KafkaDeadLetters(config)
        self.dead_letters: DeadLetters = self._reader.over(self._producer.send)
        self._parts: LaneParts | None = None
        self._lanes: dict[tuple[Partition, int], Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._preparing: asyncio.Task[None] | None = None

    async def start(self, handle: Handle) -> None:
        """See the port."""
        self._parts = LaneParts(handle, self._bury, self._backoff, self._meters, self._sleep)
        self._connection_log.install()
        self._producer.start()
        self._preparing = asyncio.create_task(self._prepare())

    async def send(self, topic: str, key: str, value: bytes, *, shown: bool = False) -> None:
        """See the port."""
        headers = ((SHOWN_HEADER, b"1"),) if shown else ()
        await self._producer.send(Message(topic, key.encode(), value, headers))

    async def stop(self) -> None:
        """See the port: first the consumer, whose last records may still become dead letters."""
        if self._preparing is not None:
            await self._preparing
        await self._consumer.stop()
        await asyncio.gather(*self._tasks)
        await self._producer.stop()
        self._connection_log.remove()

    def unready(self) -> str | None:
        """See the port."""
        failure = self._producer.failure if self._producer.failure != "not started" else None
        return self._consumer.failure or failure

    def progress(self) -> Sequence[Progress]:
        """See the port."""
        oldest = {partition: lane.oldest_ms for (partition, _), lane in self._lanes.items()}
        return [Progress(each, lag, oldest.get(each)) for each, lag in self._consumer.lags().items()]

    # ---- the consumer's sink

    def take(self, partition: Partition, epoch: int, records: Sequence[Record]) -> None:
        """See :class:`extensions.careflow.consumer.Sink`."""
        lane = self._lanes.get((partition, epoch))
        if lane is None:
            if self._parts is None:
                return

            def settled(record: Record) -> None:
                self._consumer.delivered(partition, epoch, record)

            lane = self._lanes[partition, epoch] = Lane(self._parts, settled)
        lane.put(records)

    def hold(self, held: threading.Event) -> None:
        """See :class:`extensions.careflow.consumer.Sink`."""
        self._spawn(self._hold(list(self._lanes.values()), held))

    def go_on(self, partitions: Collection[Partition]) -> None:
        """See :class:`extensions.careflow.consumer.Sink`."""
        gone = [key for key in self._lanes if key[0] not in partitions]
        for key in gone:
            self._spawn(self._lanes.pop(key).close(_GRACE_S))
        for lane in self._lanes.values():
            lane.go_on()

    async def _hold(self, lanes: Sequence[Lane], held: threading.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await asyncio.gather(*(lane.hold() for lane in lanes))
        held.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bury(self, record: Record, error: Exception) -> None:
        letter = dead_letter_of(record, error, iso_utc_ms(self._clock.wall()))
        await self._producer.send(Message(self._config.dead_letter_topic, letter.id.encode(), encode_letter(letter)))

    async def _prepare(self) -> None:
        # Before the consumer, so that the first events find it reading their topics.
        if self._topics:
            await asyncio.to_thread(_create_topics, self._config, (*self._topics, self._config.dead_letter_topic))
        self._consumer.start()


def _group_options(config: CareflowConfig) -> dict[str, Any]:
    return {
        **config.connection(),
        "group_id": config.group_id,
        "enable_auto_commit": False,
        "auto_offset_reset": config.start_from,
        "max_poll_records": config.max_poll_records,
        "session_timeout_ms": config.session_timeout_ms,
        "heartbeat_interval_ms": max(1, config.session_timeout_ms // 5),
        "metrics_enabled": False,
    }


def _create_topics(config: CareflowConfig, topics: Sequence[str]) -> None:
    """Make what is missing; where we may not, or there is no broker, whoever may makes them later."""
    pattern = re.compile(config.topics_pattern)
    wanted = [topic for topic in topics if pattern.fullmatch(topic) or topic == config.dead_letter_topic]
    with contextlib.suppress(KafkaError):
        admin = connect(KafkaAdminClient, config.connection())
        try:
            missing = sorted(set(wanted) - set(admin.list_topics()))
            if missing:
                admin.create_topics({topic: {} for topic in missing}, raise_errors=False)
                log.info("careflow.topics_created", topics=missing)
        finally:
            admin.close()

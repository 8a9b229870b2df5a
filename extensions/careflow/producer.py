"""Sending to Kafka, on a thread of its own.

kafka-python's ``send()`` may block for as long as it likes to find a broker, so the event loop never calls it: it puts
the message in a bounded queue and waits for a future.
"""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError
from msgspec import Struct

from extensions.careflow.clients import connect
from extensions.careflow.metrics import Meters
from extensions.careflow.records import BusUnavailableError

log = structlog.get_logger()

#: How long the thread may be kept by a topic whose brokers are not known.
_MAX_BLOCK_MS: Final = 2_000
_CLOSE_S: Final = 2.0


class Message(Struct, frozen=True):
    """What is sent. ``value`` None deletes the key from a compacted topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


_Waiting = tuple[Message, "asyncio.Future[None]"]


class ProducerThread:
    """An idempotent producer.

    Args:
        options: For ``KafkaProducer``: the connection and its security.
        meters: Counts.
        linger_ms: How long a batch waits for company.
        send_timeout_ms: After it a message counts as not sent.
        max_waiting: Messages not acknowledged; further ones are refused for now.
    """

    def __init__(
        self, options: Mapping[str, Any], meters: Meters, *, linger_ms: int, send_timeout_ms: int, max_waiting: int
    ) -> None:
        self._options = {
            **options,
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": linger_ms,
            "max_block_ms": _MAX_BLOCK_MS,
            "request_timeout_ms": send_timeout_ms,
            # A message is given up by the library later than by us: we send it again either way.
            "delivery_timeout_ms": 2 * send_timeout_ms + linger_ms,
            "metrics_enabled": False,
        }
        self._send_timeout_s = send_timeout_ms / 1_000
        self._meters = meters
        self._max_waiting = max_waiting
        self._waiting = 0
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._results: deque[tuple[asyncio.Future[None], Exception | None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="careflow-producer", daemon=True)
        self.failure: str | None = "not started"

    def start(self) -> None:
        """Start the thread. Called on the event loop that will send."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def send(self, message: Message) -> None:
        """Send a message and return when all brokers that must have it do.

        Raises:
            BusUnavailableError: If that is not known in time.
        """
        if self._waiting >= self._max_waiting:
            self._meters.send_failed()
            raise BusUnavailableError("too many messages wait for Kafka")
        acknowledged = asyncio.get_running_loop().create_future()
        self._waiting += 1
        acknowledged.add_done_callback(self._one_less)
        self._queue.put((message, acknowledged))
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await acknowledged
        except TimeoutError:
            self.failure = "no acknowledgement"
            self._meters.send_failed()
            raise BusUnavailableError("Kafka has not acknowledged the message in time") from None
        except KafkaError as error:
            self._meters.send_failed()
            raise BusUnavailableError(type(error).__name__) from error
        self._meters.produced()

    async def stop(self) -> None:
        """Send what waits, for a short while, and end the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
        self._hand_over()

    def _one_less(self, _future: "asyncio.Future[None]") -> None:
        self._waiting -= 1

    # ---- on the thread

    def _run(self) -> None:
        producer: Any = None
        while (waiting := self._queue.get()) is not None:
            if waiting[1].done():
                # Given up while it waited: whoever sent it sends it again.
                continue
            try:
                producer = producer or connect(KafkaProducer, self._options)
                self._send(producer, *waiting)
            except Exception as error:
                self._settle(waiting[1], error)
        if producer is not None:
            with contextlib.suppress(KafkaError):
                producer.close(timeout=_CLOSE_S)

    def _send(self, producer: Any, message: Message, acknowledged: "asyncio.Future[None]") -> None:
        sent = producer.send(message.topic, value=message.value, key=message.key, headers=list(message.headers))
        sent.add_callback(lambda _metadata: self._settle(acknowledged, None))
        sent.add_errback(lambda error: self._settle(acknowledged, error))

    def _settle(self, acknowledged: "asyncio.Future[None]", error: Exception | None) -> None:
        if error is not None and not isinstance(error, KafkaError):
            log.error("careflow.send_failed", error=type(error).__name__)
            error = KafkaError(type(error).__name__)
        first = not self._results
        self._results.append((acknowledged, error))
        # One call for all that are acknowledged together.
        if first and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._hand_over)

    # ---- on the loop

    def _hand_over(self) -> None:
        while self._results:
            acknowledged, error = self._results.popleft()
            self.failure = None if error is None else type(error).__name__
            if acknowledged.done():
                continue
            if error is None:
                acknowledged.set_result(None)
            else:
                acknowledged.set_exception(error)

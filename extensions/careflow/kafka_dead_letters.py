"""The dead letters in their topic. One that was redriven is deleted there by an empty record of its key."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from extensions.careflow.clients import connect
from extensions.careflow.config import CareflowConfig
from extensions.careflow.dead_letters import DeadLetter, decode_letter
from extensions.careflow.producer import Message
from extensions.careflow.records import BusUnavailableError

Send = Callable[[Message], Awaitable[None]]

_POLL_MS: Final = 1_000
_MAX_EMPTY_POLLS: Final = 10
#: Letters kept in memory; older ones are read again by their own tools.
_MAX_LETTERS: Final = 100_000


class KafkaDeadLetters:
    """Reads dead letters, and the records they are about. Every method blocks: call it on a thread."""

    def __init__(self, config: CareflowConfig) -> None:
        self._config = config

    def over(self, send: Send) -> "SentDeadLetters":
        """Return the port, with ``send`` for what is redriven."""
        return SentDeadLetters(self, self._config.dead_letter_topic, send)

    def letters(self) -> dict[str, DeadLetter]:
        """Return all dead letters that were not redriven, by id, the oldest first.

        Raises:
            BusUnavailableError: If Kafka cannot be reached.
        """
        found: dict[str, DeadLetter] = {}
        for record in self._read(self._config.dead_letter_topic):
            letter_id = (record.key or b"").decode(errors="replace")
            found.pop(letter_id, None)
            if record.value is not None and len(found) < _MAX_LETTERS:
                try:
                    found[letter_id] = decode_letter(record.value)
                except msgspec.DecodeError:
                    continue  # somebody else's record in our topic
        return dict(sorted(found.items(), key=lambda item: item[1].moment))

    def original(self, letter: DeadLetter) -> Message:
        """Return the record a dead letter is about, to be sent again.

        Raises:
            LookupError: If it is no longer kept.
            BusUnavailableError: If Kafka cannot be reached.
        """
        for record in self._read(*letter.origin, first=letter.offset, last=letter.offset):
            if record.offset == letter.offset:
                return Message(letter.topic, record.key, record.value, tuple(record.headers))
        raise LookupError(letter.id)

    def _read(self, topic: str, number: int | None = None, *, first: int = 0, last: int | None = None) -> Iterator[Any]:
        """Yield the records of a topic, or of one of its partitions, that are there now."""
        try:
            options = {**self._config.connection(), "enable_auto_commit": False, "auto_offset_reset": "earliest"}
            consumer = connect(KafkaConsumer, options)
        except KafkaError as error:
            raise BusUnavailableError(type(error).__name__) from error
        try:
            numbers = consumer.partitions_for_topic(topic) or set() if number is None else {number}
            yield from _records(consumer, [TopicPartition(topic, each) for each in sorted(numbers)], first, last)
        except KafkaError as error:
            raise BusUnavailableError(type(error).__name__) from error
        finally:
            consumer.close()


class SentDeadLetters:
    """See :class:`extensions.careflow.ports.DeadLetters`."""

    def __init__(self, reader: KafkaDeadLetters, topic: str, send: Send) -> None:
        self._reader = reader
        self._topic = topic
        self._send = send

    async def list(self) -> Sequence[DeadLetter]:
        """See the port."""
        return list((await asyncio.to_thread(self._reader.letters)).values())

    async def redrive(self, letter_id: str) -> None:
        """See the port."""
        letter = (await asyncio.to_thread(self._reader.letters))[letter_id]
        await self._send(await asyncio.to_thread(self._reader.original, letter))
        await self._send(Message(self._topic, letter_id.encode(), None))


def _records(consumer: Any, partitions: Sequence[Any], first: int, last: int | None) -> Iterator[Any]:
    if not partitions:
        return
    consumer.assign(partitions)
    begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    remaining = {}
    for each in partitions:
        start, end = max(first, begins[each]), ends[each] if last is None else min(last + 1, ends[each])
        consumer.seek(each, start)
        if start < end:
            remaining[each] = end
    empty = 0
    while remaining and empty < _MAX_EMPTY_POLLS:
        batches = consumer.poll(timeout_ms=_POLL_MS)
        empty = 0 if batches else empty + 1
        for records in batches.values():
            yield from records
        for each in [each for each, end in remaining.items() if consumer.position(each) >= end]:
            del remaining[each]

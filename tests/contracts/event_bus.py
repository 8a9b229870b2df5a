"""The contract of every :class:`extensions.careflow.ports.EventBus`.

A subclass gives the ``bus`` fixture, not started, whose waits between tries are short; and ``topic``, which it reads.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from extensions.careflow.ports import EventBus
from extensions.careflow.records import SHOWN_HEADER, BadRecordError, Record

#: Neither bus puts these keys in one partition.
KEY, OTHER_KEY = "task_1", "task_2"
PATIENCE_S = 30.0

Rule = Callable[[Record], Awaitable[None]]


class Recorder:
    """Handles records by a rule, and keeps what was handled."""

    def __init__(self) -> None:
        self.handled: asyncio.Queue[Record] = asyncio.Queue()
        self.tries: asyncio.Queue[Record] = asyncio.Queue()
        self.rule: Rule | None = None

    async def handle(self, record: Record) -> None:
        self.tries.put_nowait(record)
        if self.rule is not None:
            await self.rule(record)
        self.handled.put_nowait(record)

    async def values(self, count: int) -> list[bytes | None]:
        """The values of the next records that were handled."""
        async with asyncio.timeout(PATIENCE_S):
            return [(await self.handled.get()).value for _ in range(count)]


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once the condition holds; real brokers tell nobody when they are done."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - a broker has no event to wait for
            await asyncio.sleep(0.02)


def refuse(value: bytes) -> Rule:
    """Refuse records of a value for ever."""

    async def rule(record: Record) -> None:
        if record.value == value:
            raise BadRecordError("task.title", "maxLength", "found string")

    return rule


class EventBusContract:
    @pytest.fixture
    def recorder(self) -> Recorder:
        return Recorder()

    @pytest.fixture
    async def started(self, bus: EventBus, recorder: Recorder) -> AsyncIterator[EventBus]:
        await bus.start(recorder.handle)
        yield bus
        recorder.rule = None
        await bus.stop()

    async def test_an_event_arrives_as_it_was_sent(self, started: EventBus, recorder: Recorder, topic: str) -> None:
        await started.send(topic, KEY, b'{"a":1}')
        async with asyncio.timeout(PATIENCE_S):
            record = await recorder.handled.get()
        assert (record.partition.topic, record.key, record.value) == (topic, KEY.encode(), b'{"a":1}')
        assert record.headers == ()
        assert record.timestamp_ms > 0

    async def test_events_of_one_key_arrive_in_order(self, started: EventBus, recorder: Recorder, topic: str) -> None:
        sent = [b"%d" % number for number in range(100)]
        await asyncio.gather(*(started.send(topic, KEY, each) for each in sent))
        assert await recorder.values(100) == sent

    async def test_an_event_that_was_shown_already_says_so(
        self, started: EventBus, recorder: Recorder, topic: str
    ) -> None:
        await started.send(topic, KEY, b"{}", shown=True)
        async with asyncio.timeout(PATIENCE_S):
            assert (await recorder.handled.get()).headers == ((SHOWN_HEADER, b"1"),)

    async def test_nothing_waits_behind_a_bad_record(self, started: EventBus, recorder: Recorder, topic: str) -> None:
        recorder.rule = refuse(b"bad")
        for value in (b"before", b"bad", b"behind"):
            await started.send(topic, KEY, value)
        assert await recorder.values(2) == [b"before", b"behind"]

    async def test_a_bad_record_is_told_by_its_place_and_reason(
        self, started: EventBus, recorder: Recorder, topic: str
    ) -> None:
        recorder.rule = refuse(b"bad")
        await started.send(topic, KEY, b"bad")

        async def told() -> bool:
            return bool(await started.dead_letters.list())

        await eventually(told)
        (letter,) = await started.dead_letters.list()
        place = (await recorder.tries.get()).partition
        assert letter.origin == place
        assert letter.error_class == "BadRecordError"
        assert letter.reason == "task.title: maxLength, found string"

    async def test_an_unexpected_error_buries_the_record_without_a_word_of_it(
        self, started: EventBus, recorder: Recorder, topic: str
    ) -> None:
        async def rule(_record: Record) -> None:
            raise RuntimeError("John Doe")

        recorder.rule = rule
        await started.send(topic, KEY, b"John Doe")

        async def told() -> bool:
            return bool(await started.dead_letters.list())

        await eventually(told)
        (letter,) = await started.dead_letters.list()
        assert letter.error_class == "RuntimeError"
        assert "John" not in repr(letter)

    async def test_a_passing_failure_is_tried_again_in_place(
        self, started: EventBus, recorder: Recorder, topic: str
    ) -> None:
        failures = iter([ConnectionError(), TimeoutError()])

        async def rule(_record: Record) -> None:
            for error in failures:
                raise error

        recorder.rule = rule
        await asyncio.gather(*(started.send(topic, KEY, value) for value in (b"first", b"second")))
        assert await recorder.values(2) == [b"first", b"second"]
        assert recorder.tries.qsize() == 4

    async def test_other_keys_go_on_while_one_fails(self, started: EventBus, recorder: Recorder, topic: str) -> None:
        passed = asyncio.Event()

        async def rule(record: Record) -> None:
            if record.key == KEY.encode() and not passed.is_set():
                raise ConnectionError

        recorder.rule = rule
        stuck = asyncio.create_task(started.send(topic, KEY, b"stuck"))
        await started.send(topic, OTHER_KEY, b"free")
        assert await recorder.values(1) == [b"free"]
        passed.set()
        assert await recorder.values(1) == [b"stuck"]
        await stuck

    async def test_lag_and_age_tell_of_what_waits(self, started: EventBus, recorder: Recorder, topic: str) -> None:
        passed = asyncio.Event()

        async def rule(_record: Record) -> None:
            await passed.wait()

        recorder.rule = rule
        sending = [asyncio.create_task(started.send(topic, KEY, b"%d" % number)) for number in range(3)]

        async def lags() -> bool:
            return any(each.lag_records == 3 and each.oldest_ms for each in started.progress())

        async def none_lags() -> bool:
            return all(each.lag_records == 0 and each.oldest_ms is None for each in started.progress())

        await eventually(lags)
        passed.set()
        await eventually(none_lags)
        await asyncio.gather(*sending)

    async def test_a_redriven_record_comes_once_more_and_its_letter_is_gone(
        self, started: EventBus, recorder: Recorder, topic: str
    ) -> None:
        recorder.rule = refuse(b"bad")
        await started.send(topic, KEY, b"bad")

        async def told() -> bool:
            return bool(await started.dead_letters.list())

        await eventually(told)
        recorder.rule = None
        (letter,) = await started.dead_letters.list()
        await started.dead_letters.redrive(letter.id)
        async with asyncio.timeout(PATIENCE_S):
            record = await recorder.handled.get()
        assert (record.partition.topic, record.key, record.value) == (topic, KEY.encode(), b"bad")
        assert list(await started.dead_letters.list()) == []

    async def test_an_unknown_dead_letter_is_refused(self, started: EventBus) -> None:
        with pytest.raises(KeyError):
            await started.dead_letters.redrive("nowhere:0:0")

    async def test_it_is_ready_while_it_carries(self, bus: EventBus, recorder: Recorder, topic: str) -> None:
        assert bus.unready()
        await bus.start(recorder.handle)
        await bus.send(topic, KEY, b"{}")
        await recorder.values(1)

        async def ready() -> bool:
            return bus.unready() is None

        await eventually(ready)
        await bus.stop()

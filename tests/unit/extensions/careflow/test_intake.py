"""From a record to subscribers."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from channels.schema import SchemaViolationError
from extensions.careflow.intake import Intake
from extensions.careflow.metrics import Meters
from extensions.careflow.records import SHOWN_HEADER, BadRecordError, Partition, Record
from extensions.careflow.seen import Seen
from tests.support.careflow import task_updated, user_joined


class Published:
    """A publisher that remembers, and may fail on a channel."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.kept: set[bool] = set()
        self.failing: set[str] = set()

    async def publish(self, channel: str, data: bytes, *, kept: bool = True) -> None:
        if channel in self.failing:
            raise ConnectionError
        self.seen.append((channel, data))
        self.kept.add(kept)

    @property
    def channels(self) -> list[str]:
        return [channel for channel, _ in self.seen]


def record(value: bytes | None, *, topic: str = "careflow.task.updated", **fields: Any) -> Record:
    return Record(Partition(topic, 0), 0, b"task_789", value, **fields)


def intake_of(published: Published) -> Intake:
    meters = Meters(CollectorRegistry())
    return Intake(published, Seen(100), meters, topic_prefix="careflow.", max_record_bytes=10_000)


@pytest.fixture
def published() -> Published:
    return Published()


@pytest.fixture
def intake(published: Published) -> Intake:
    return intake_of(published)


class TestGoodRecords:
    async def test_a_task_event_goes_verbatim_to_all_its_channels(self, intake: Intake, published: Published) -> None:
        raw = task_updated(2)
        await intake.handle(record(raw))
        assert published.channels == [
            "/task/task_789",
            "/task_list/assigned_to/cc_456",
            "/task_list/member/A123456",
            "/task_list/team/team_1",
        ]
        assert {data for _, data in published.seen} == {raw}
        assert published.kept == {True}

    async def test_a_reassignment_reaches_the_old_assignee(self, intake: Intake, published: Published) -> None:
        await intake.handle(record(task_updated(2, previous_assigned_to="cc_789")))
        assert "/task_list/assigned_to/cc_789" in published.channels

    async def test_a_presence_event_goes_to_its_task(self, intake: Intake, published: Published) -> None:
        await intake.handle(record(user_joined(), topic="careflow.presence.user_joined"))
        assert published.channels == ["/task/task_789", "/task/task_789/presence"]
        assert published.kept == {False}

    async def test_line_breaks_between_values_are_taken_out(self, intake: Intake, published: Published) -> None:
        """An event of an EventSource ends at one."""
        event = json.loads(task_updated(2))
        await intake.handle(record(json.dumps(event, indent=2).replace("\n", "\r\n").encode()))
        assert all(b"\n" not in data and b"\r" not in data for _, data in published.seen)
        assert json.loads(published.seen[0][1]) == event

    async def test_an_event_that_comes_twice_is_shown_once(self, intake: Intake, published: Published) -> None:
        for _ in range(2):
            await intake.handle(record(user_joined(), topic="careflow.presence.user_joined"))
        assert len(published.seen) == 2

    async def test_a_version_that_is_not_above_the_last_is_not_shown(
        self, intake: Intake, published: Published
    ) -> None:
        await intake.handle(record(task_updated(3)))
        shown = len(published.seen)
        await intake.handle(record(task_updated(2)))
        await intake.handle(record(task_updated(3, event_id="another")))
        assert len(published.seen) == shown

    async def test_what_was_shown_ahead_of_kafka_is_not_shown_again(self, intake: Intake, published: Published) -> None:
        await intake.handle(record(task_updated(2), headers=((SHOWN_HEADER, b"1"),)))
        assert published.seen == []

    async def test_after_a_failure_only_the_remaining_channels_are_published(
        self, intake: Intake, published: Published
    ) -> None:
        published.failing = {"/task_list/member/A123456"}
        with pytest.raises(ConnectionError):
            await intake.handle(record(task_updated(2)))
        published.failing = set()
        await intake.handle(record(task_updated(2)))
        assert sorted(published.channels) == sorted(set(published.channels))
        assert len(published.channels) == 4


class TestBadRecords:
    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (None, "record: value, found null"),
            (b"", "record: json, DecodeError"),
            (b"\xff\xfe", "record: json, DecodeError"),
            (b'{"type": NaN}', "record: json, DecodeError"),
            (b"[" * 5_000, "record: json, RecursionError"),
            (b"[]", "record: type, found no object"),
            (b"{}", "type: enum, no such type of event"),
            (b'{"type": "task.secret"}', "type: enum, no such type of event"),
            (b'{"type": ["task.updated"]}', "type: enum, no such type of event"),
            (task_updated("2"), "version: type, found string"),
            (task_updated(0), "version: minimum, found integer"),
            (task_updated(2, task_id="a/b", event_id="e"), "task_id: pattern, found string"),
            (task_updated(2, task={"id": "other"}), "task.id: task_id, names another task"),
            (b" " * 10_000, "record: max_record_bytes, found 10008"),
        ],
    )
    async def test_it_is_refused_by_field_and_rule(self, intake: Intake, value: bytes | None, reason: str) -> None:
        with pytest.raises(BadRecordError) as caught:
            await intake.handle(record(value))
        assert str(caught.value) == reason

    async def test_nothing_of_the_content_is_in_the_reason(self, intake: Intake) -> None:
        event = json.loads(task_updated(2))
        event["task"]["title"] = {"John Doe": "John Doe"}
        with pytest.raises(BadRecordError) as caught:
            await intake.handle(record(json.dumps(event).encode()))
        assert str(caught.value).startswith("task.title: type")
        assert "John" not in str(caught.value)

    async def test_a_type_that_belongs_to_another_topic_is_refused(self, intake: Intake) -> None:
        """Who may write presence may not write tasks."""
        with pytest.raises(BadRecordError, match="type: topic"):
            await intake.handle(record(task_updated(2), topic="careflow.presence.user_joined"))

    @pytest.mark.parametrize("event_type", ["presence.snapshot", "task.base_moved"])
    async def test_events_for_single_sessions_do_not_come_from_outside(self, intake: Intake, event_type: str) -> None:
        with pytest.raises(BadRecordError, match="type: enum"):
            await intake.handle(record(task_updated(2, type=event_type)))

    @given(st.binary(max_size=200))
    async def test_arbitrary_bytes_are_refused(self, value: bytes) -> None:
        published = Published()
        with pytest.raises(BadRecordError):
            await intake_of(published).handle(record(value))
        assert published.seen == []


class Absorbing:
    """A store that has its own idea of the event."""

    def __init__(self, answer: msgspec.Struct | None = None, error: Exception | None = None) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self._answer = answer
        self._error = error

    async def consume(self, document: Mapping[str, Any]) -> msgspec.Struct | None:
        self.asked.append(document)
        if self._error is not None:
            raise self._error
        return self._answer


class Whole(msgspec.Struct):
    """What a store makes of an event."""

    event_id: str
    type: str
    task_id: str
    version: int
    task: dict[str, str]


class TestEffects:
    async def test_the_event_is_shown_as_the_store_returns_it(self, intake: Intake, published: Published) -> None:
        task = {"id": "task_789", "team_id": "team_2"}
        intake.absorb = Absorbing(Whole("e", "task.updated", "task_789", 2, task))
        await intake.handle(record(task_updated(2)))
        assert published.channels == ["/task/task_789", "/task_list/team/team_2"]
        assert json.loads(published.seen[0][1])["task"] == task

    async def test_what_the_store_has_newer_is_not_shown(self, intake: Intake, published: Published) -> None:
        intake.absorb = Absorbing(None)
        await intake.handle(record(task_updated(2)))
        assert published.seen == []

    async def test_what_the_store_refuses_is_bad(self, intake: Intake) -> None:
        intake.absorb = Absorbing(error=SchemaViolationError("task.updated", "timestamp", "moment", "string"))
        with pytest.raises(BadRecordError, match="timestamp: moment, found string"):
            await intake.handle(record(task_updated(2)))

    async def test_presence_is_none_of_the_stores_business(self, intake: Intake, published: Published) -> None:
        store = Absorbing(None)
        intake.absorb = store
        await intake.handle(record(user_joined(), topic="careflow.presence.user_joined"))
        assert store.asked == []
        assert published.seen

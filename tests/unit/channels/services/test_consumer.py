"""Events that come in."""

import asyncio
from typing import Any

import msgspec
import pytest

from channels.schema import SchemaViolationError, check
from channels.services.consumer import EventConsumer
from channels.stores.records import OutboxEntry
from channels.tasks.events import base_moved
from tests.support.care import SARAH
from tests.support.care_service import Care


def foreign(version: int, event_id: str = "f_1", **more: object) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "type": "task.assigned",
        "task_id": "task_far",
        "version": version,
        "task": {
            "id": "task_far",
            "title": "Call",
            "member_id": "A123456",
            "member_name": "John Doe",
            "team_id": "team_1",
            "assigned_to": "cc_789",
        },
        "changed_by": {"user_id": "system", "user_name": "CareFlow", "user_role": "system"},
        "timestamp": "2025-11-13T12:00:00+01:00",
        **more,
    }


@pytest.fixture
def consumer(care: Care) -> EventConsumer:
    return EventConsumer(care.store, care.clock)


async def waiting(care: Care) -> list[OutboxEntry]:
    async with care.store.outbox_batch(100) as batch:
        return list(batch.entries)


class TestConsume:
    async def test_a_foreign_event_becomes_task_version_activity_and_notification(
        self, care: Care, consumer: EventConsumer
    ) -> None:
        event = await consumer.consume(foreign(3, unknown="dropped"))
        assert event is not None
        assert b"dropped" not in msgspec.json.encode(event)
        assert event.timestamp == "2025-11-13T11:00:00.000Z"
        task = await care.store.task("task_far")
        assert task == event.task
        assert [version.version for version in await care.store.task_versions("task_far", before=None, limit=9)] == [3]
        assert await care.store.unread_count("cc_789") == 1
        assert await care.events() == ["task_assigned", "notification.task_assigned"]

    async def test_it_is_given_on_once_the_permissions_that_came_with_it_are_known(
        self, care: Care, consumer: EventConsumer
    ) -> None:
        relations = care.store.signals.relations
        relations.followers += 1
        asked = relations.count + 2  # by the commit, and by the consumer after it
        taking_in = asyncio.create_task(consumer.consume(foreign(3)))
        while relations.count < asked:
            await relations.wait(relations.count, timeout_s=60)
        assert not taking_in.done()
        relations.take_in(relations.count)
        assert await taking_in is not None

    async def test_it_has_its_effect_once_and_is_delivered_again(self, care: Care, consumer: EventConsumer) -> None:
        first = await consumer.consume(foreign(3))
        assert await consumer.consume(foreign(3)) == first
        assert await care.store.unread_count("cc_789") == 1

    async def test_editors_are_told_which_version_it_moved_on_from(self, care: Care, consumer: EventConsumer) -> None:
        await consumer.consume(foreign(3))
        for version, base_version in ((9, 3), (10, 9)):
            event = await consumer.consume(foreign(version, f"f_{version}"))
            assert event is not None
            check(event.type, msgspec.json.decode(msgspec.json.encode(event)))
            assert base_moved(event).base_version == base_version

    async def test_an_older_version_is_not_delivered(self, care: Care, consumer: EventConsumer) -> None:
        await consumer.consume(foreign(3))
        assert await consumer.consume(foreign(3, "f_2")) is None
        assert await consumer.consume(foreign(2, "f_3")) is None

    async def test_a_reassignment_names_who_had_the_task(self, consumer: EventConsumer) -> None:
        await consumer.consume(foreign(3))
        after = foreign(4, "f_2")
        after["task"] = {"id": "task_far", "assigned_to": "cc_456"}
        for _ in range(2):
            event = await consumer.consume(after)
            assert event is not None
            assert event.previous_assigned_to == "cc_789"
            check("task.assigned", msgspec.json.decode(msgspec.json.encode(event)))

    async def test_of_a_task_nobody_described_it_passes_as_it_is_once(
        self, care: Care, consumer: EventConsumer
    ) -> None:
        document = foreign(3, task={"id": "task_far", "assigned_to": "cc_789"})
        event = await consumer.consume(document)
        assert event is not None
        assert msgspec.to_builtins(event.task) == {"id": "task_far", "assigned_to": "cc_789"}
        assert await care.store.task("task_far") is None
        assert await consumer.consume(foreign(3, "f_2")) is None
        assert await consumer.consume(document) == event

    async def test_our_own_event_on_its_way_back_changes_nothing(self, care: Care, consumer: EventConsumer) -> None:
        task_id = await care.task(assigned_to="cc_789")
        [told] = [entry.event for entry in await waiting(care) if entry.event.type == "task.created"]
        await care.events()
        document = msgspec.json.decode(told.payload)
        event = await consumer.consume(document)
        assert event is not None
        assert msgspec.to_builtins(event) == document
        assert await care.events() == []
        assert (await care.call("task.get", SARAH, {"task_id": task_id})).version == 1

    @pytest.mark.parametrize(
        ("damage", "field"),
        [
            ({"task": {"id": "task_other"}}, "task.id"),
            ({"task": {"id": "task_far", "version": 9}}, "task.version"),
            ({"timestamp": "2025-02-31T10:00:00Z"}, "timestamp"),
            ({"version": "3"}, "version"),
            ({"event_id": None}, "event_id"),
            ({"type": "task.exploded"}, "type"),
            ({"type": "task.base_moved"}, "type"),
            ({"type": ["task.created"]}, "type"),
        ],
    )
    async def test_an_event_that_contradicts_its_schema_or_itself_is_refused(
        self, consumer: EventConsumer, damage: dict[str, object], field: str
    ) -> None:
        with pytest.raises(SchemaViolationError) as caught:
            await consumer.consume({**foreign(3), **damage})
        assert caught.value.field == field

    async def test_two_consumers_give_one_effect(self, care: Care, consumer: EventConsumer) -> None:
        events = await asyncio.gather(*(consumer.consume(foreign(3)) for _ in range(8)))
        assert {event.version for event in events if event} == {3}
        assert await care.store.unread_count("cc_789") == 1

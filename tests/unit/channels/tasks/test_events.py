"""Events in the design's shapes."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from channels.schema import check
from channels.tasks.changes import TaskChanges, assigned, completed, deleted, updated
from channels.tasks.events import TaskEvent, base_moved, event_of, read_event
from channels.tasks.model import Task, TaskStatus
from tests.support.care import MIKE, SARAH, at, new_task


def told(before: Task | None, after: Task) -> dict[str, Any]:
    """The event as it is on the wire, checked against its schema."""
    document: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(event_of(before, after, event_id="ev_1", by=SARAH))
    )
    check(document["type"], document)
    return document


class TestEventOf:
    def test_a_created_task_is_told_whole(self) -> None:
        event = told(None, new_task(assignee=MIKE, due_date="2025-11-15", notes="first"))
        assert set(event) == {"event_id", "type", "task_id", "version", "task", "changed_by", "timestamp"}
        assert (event["type"], event["task_id"], event["version"]) == ("task.created", "task_789", 1)
        assert event["task"]["member_name"] == "John Doe"
        assert event["changed_by"]["user_name"] == "Sarah Johnson"
        assert event["timestamp"] == "2025-11-13T10:00:00.000Z"

    def test_an_update_names_the_changed_fields(self) -> None:
        task = new_task()
        after = updated(task, TaskChanges(notes="called", status=TaskStatus.IN_PROGRESS), by=SARAH, at=at(1))
        event = told(task, after)
        assert (event["type"], event["changed_fields"]) == ("task.updated", ["notes", "status"])
        assert event["version"] == event["task"]["version"] == 2

    def test_an_assignment_names_the_old_assignee_too(self) -> None:
        task = new_task(assignee=SARAH)
        event = told(task, assigned(task, MIKE, reason="Transferring", by=SARAH, at=at(1)))
        assert event["type"] == "task.assigned"
        assert event["previous_assigned_to"] == "cc_456"
        assert event["task"]["assigned_to_name"] == "Mike Chen"
        assert event["task"]["assigned_by_name"] == "Sarah Johnson"
        assert event["task"]["reason"] == "Transferring"

    def test_a_completion_is_told_as_such_however_it_came(self) -> None:
        task = new_task()
        one = told(task, completed(task, "done", by=SARAH, at=at(1)))
        other = told(task, updated(task, TaskChanges(status=TaskStatus.COMPLETED), by=SARAH, at=at(1)))
        assert one["type"] == other["type"] == "task.completed"
        assert one["task"]["completed_at"] == at(1)

    def test_a_deletion_is_told(self) -> None:
        task = new_task()
        assert told(task, deleted(task, by=SARAH, at=at(1)))["type"] == "task.deleted"

    def test_a_move_names_the_old_team(self) -> None:
        task = new_task()
        assert (
            told(task, updated(task, TaskChanges(team_id="team_2"), by=SARAH, at=at(1)))["previous_team_id"] == "team_1"
        )

    def test_a_resolution_is_told_with_its_conflict(self) -> None:
        task = new_task()
        after = updated(task, TaskChanges(notes="both"), by=SARAH, at=at(1))
        event = event_of(task, after, event_id="ev_1", by=SARAH, resolution=("merge", "conflict_1"))
        assert (event.resolution, event.conflict_id) == ("merge", "conflict_1")


class TestReadEvent:
    def test_unknown_fields_are_dropped_at_every_depth(self) -> None:
        document = told(None, new_task())
        document["secret"] = document["task"]["secret"] = document["changed_by"]["secret"] = "x"
        assert b"secret" not in msgspec.json.encode(read_event(document))

    def test_what_is_known_comes_back(self) -> None:
        document = told(None, new_task(assignee=MIKE))
        event = read_event(document)
        assert isinstance(event, TaskEvent)
        assert msgspec.to_builtins(event) == document

    def test_a_part_of_a_task_stays_a_part(self) -> None:
        document = {**told(None, new_task()), "type": "task.assigned", "task": {"id": "task_789"}}
        assert msgspec.to_builtins(read_event(document))["task"] == {"id": "task_789"}


class TestBaseMoved:
    def test_tells_an_editor_what_changed_under_them(self) -> None:
        task = new_task()
        after = updated(task, TaskChanges(notes="x"), by=MIKE, at=at(1))
        event = event_of(task, after, event_id="ev_1", by=MIKE, changed_in="s1")
        document = msgspec.to_builtins(base_moved(event))
        check("task.base_moved", document)
        assert document["changed_in"] == "s1"
        assert (document["base_version"], document["version"], document["changed_fields"]) == (1, 2, ("notes",))

    @pytest.mark.parametrize("fields", [("notes",), ()])
    def test_tells_of_an_event_without_changed_fields(self, fields: tuple[str, ...]) -> None:
        event = replace(
            event_of(None, new_task(), event_id="ev_1", by=MIKE), version=2, changed_fields=fields or msgspec.UNSET
        )
        assert base_moved(event).changed_fields == fields

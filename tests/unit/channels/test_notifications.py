"""Who is notified of what."""

import msgspec

from channels.notifications import notification_of
from channels.schema import check
from channels.tasks.changes import TaskChanges, assigned, updated
from channels.tasks.events import event_of, read_event
from channels.tasks.model import Task
from tests.support.care import MIKE, SARAH, at, new_task


def of_change(before: Task | None, after: Task, message: str | None = None) -> object:
    return notification_of(event_of(before, after, event_id="ev_1", by=SARAH), message)


class TestNotificationOf:
    def test_has_every_field_of_the_design(self) -> None:
        task = new_task(assignee=MIKE, due_date="2025-11-15", priority="high")
        document = msgspec.to_builtins(of_change(None, task, "Member requested specific time slot, please prioritize"))
        check("notification.task_assigned", document)
        assert document == {
            "type": "notification.task_assigned",
            "event_id": "notification_ev_1",
            "notification_id": "notification_ev_1",
            "user_id": "cc_789",
            "version": 1,
            "task_id": "task_789",
            "task_title": "Contact member about appointment",
            "member_id": "A123456",
            "member_name": "John Doe",
            "assigned_by": {"user_id": "cc_456", "user_name": "Sarah Johnson"},
            "priority": "high",
            "due_date": "2025-11-15",
            "message": "Member requested specific time slot, please prioritize",
            "timestamp": at(0),
        }

    def test_the_reason_stands_in_for_a_message(self) -> None:
        task = new_task()
        after = assigned(task, MIKE, reason="Specialist", by=SARAH, at=at(1))
        assert msgspec.to_builtins(of_change(task, after))["message"] == "Specialist"

    def test_nobody_is_told_of_what_they_took_themselves(self) -> None:
        assert of_change(None, new_task(assignee=SARAH)) is None

    def test_a_change_that_assigns_nobody_tells_nobody(self) -> None:
        task = new_task(assignee=MIKE)
        assert of_change(None, new_task()) is None
        assert of_change(task, assigned(task, None, reason=None, by=SARAH, at=at(1))) is None
        assert of_change(task, updated(task, TaskChanges(notes="x"), by=SARAH, at=at(1))) is None

    def test_an_event_of_another_service_that_says_little_still_notifies(self) -> None:
        event = read_event(
            {
                "event_id": "f_1",
                "type": "task.assigned",
                "task_id": "task_1",
                "version": 2,
                "task": {"id": "task_1", "assigned_to": "cc_789"},
                "changed_by": {"user_id": "system", "user_name": "CareFlow", "user_role": "system"},
                "timestamp": at(0),
            }
        )
        document = msgspec.to_builtins(notification_of(event))
        check("notification.task_assigned", document)
        assert (document["task_title"], document["priority"]) == ("task_1", "medium")

"""Changes and the status machine."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from channels.tasks.changes import TaskChanges, assigned, completed, deleted, updated
from channels.tasks.model import Priority, Task, TaskStatus, changed_fields
from channels.tasks.status import TRANSITIONS, TransitionError, check_transition
from tests.support.care import MIKE, SARAH, at, new_task


class TestStatus:
    def test_every_status_says_what_may_follow(self) -> None:
        assert set(TRANSITIONS) == set(TaskStatus)

    @pytest.mark.parametrize("status", TaskStatus)
    def test_staying_is_no_transition(self, status: TaskStatus) -> None:
        check_transition(status, status)

    @pytest.mark.parametrize("status", TaskStatus)
    def test_nothing_comes_after_deletion(self, status: TaskStatus) -> None:
        assert TaskStatus.DELETED not in TRANSITIONS[TaskStatus.DELETED]
        if status is not TaskStatus.DELETED:
            with pytest.raises(TransitionError, match="The task was deleted"):
                check_transition(TaskStatus.DELETED, status)

    def test_what_was_cancelled_is_not_completed(self) -> None:
        with pytest.raises(TransitionError, match="cancelled cannot become completed"):
            check_transition(TaskStatus.CANCELLED, TaskStatus.COMPLETED)

    def test_what_is_completed_already_is_said_to_be(self) -> None:
        done = completed(new_task(), None, by=SARAH, at=at(1))
        with pytest.raises(TransitionError, match="The task is completed already"):
            completed(done, None, by=SARAH, at=at(2))


class TestUpdated:
    def test_is_one_version_on_and_says_who_and_when(self) -> None:
        task = new_task()
        after = updated(task, TaskChanges(notes="called"), by=MIKE, at=at(5))
        assert after == replace(
            task,
            notes="called",
            version=2,
            last_modified_by="cc_789",
            last_modified_by_name="Mike Chen",
            last_modified_at=at(5),
        )

    def test_changing_nothing_gives_the_same_task(self) -> None:
        task = new_task()
        assert updated(task, TaskChanges(), by=MIKE, at=at(5)) is task
        assert updated(task, TaskChanges(title=task.title), by=MIKE, at=at(5)) is task

    def test_a_due_date_and_a_team_can_be_taken_away(self) -> None:
        task = new_task(due_date="2025-11-15")
        after = updated(task, TaskChanges(due_date=None, team_id=None), by=SARAH, at=at(1))
        assert (after.due_date, after.team_id) == (None, None)
        assert changed_fields(task, after) == ("due_date", "team_id")

    def test_completing_sets_the_time_and_reopening_takes_it_away(self) -> None:
        done = updated(new_task(), TaskChanges(status=TaskStatus.COMPLETED), by=SARAH, at=at(3))
        assert done.completed_at == at(3)
        reopened = updated(done, TaskChanges(status=TaskStatus.IN_PROGRESS), by=SARAH, at=at(4))
        assert reopened.completed_at is None

    def test_a_status_that_may_not_follow_is_refused(self) -> None:
        cancelled = updated(new_task(), TaskChanges(status=TaskStatus.CANCELLED), by=SARAH, at=at(1))
        with pytest.raises(TransitionError):
            updated(cancelled, TaskChanges(status=TaskStatus.COMPLETED), by=SARAH, at=at(2))

    def test_changed_fields_come_in_one_order_without_what_follows_from_them(self) -> None:
        task = new_task()
        changes = TaskChanges(priority=Priority.URGENT, status=TaskStatus.COMPLETED, notes="x")
        assert changed_fields(task, updated(task, changes, by=SARAH, at=at(1))) == ("notes", "status", "priority")


class TestAssigned:
    def test_says_to_whom_by_whom_and_why(self) -> None:
        after = assigned(new_task(assignee=SARAH), MIKE, reason="Specialist", by=SARAH, at=at(1))
        assert (after.assigned_to, after.assigned_to_name) == ("cc_789", "Mike Chen")
        assert (after.assigned_by, after.assigned_by_name, after.reason) == ("cc_456", "Sarah Johnson", "Specialist")

    def test_to_who_has_it_already_changes_nothing(self) -> None:
        task = new_task(assignee=MIKE)
        assert assigned(task, MIKE, reason="again", by=SARAH, at=at(1)) is task

    def test_to_nobody_takes_it_back(self) -> None:
        after = assigned(new_task(assignee=MIKE), None, reason=None, by=SARAH, at=at(1))
        assert (after.assigned_to, after.assigned_to_name) == (None, None)


class TestCompleted:
    def test_sets_status_time_and_notes(self) -> None:
        after = completed(new_task(), "Scheduled", by=SARAH, at=at(7))
        assert (after.status, after.completed_at, after.completion_notes) == ("completed", at(7), "Scheduled")

    def test_twice_is_refused(self) -> None:
        with pytest.raises(TransitionError):
            completed(completed(new_task(), None, by=SARAH, at=at(1)), None, by=MIKE, at=at(2))


class TestDeleted:
    @pytest.mark.parametrize(
        "change",
        [
            lambda task: updated(task, TaskChanges(notes="x"), by=SARAH, at=at(2)),
            lambda task: assigned(task, MIKE, reason=None, by=SARAH, at=at(2)),
            lambda task: completed(task, None, by=SARAH, at=at(2)),
            lambda task: deleted(task, by=SARAH, at=at(2)),
        ],
    )
    def test_nothing_changes_a_deleted_task(self, change: Callable[[Task], Task]) -> None:
        with pytest.raises(TransitionError):
            change(deleted(new_task(), by=SARAH, at=at(1)))

"""Merges, and what a write on an old version is answered."""

import msgspec
import pytest

from channels.schema import check
from channels.tasks.changes import TaskChanges, assigned, completed, deleted, updated
from channels.tasks.conflict import ConflictBody, conflict_of
from channels.tasks.merge import LONGEST_TEXT, merge, merge_text
from channels.tasks.model import Priority, Task, TaskStatus
from tests.support.care import MIKE, SARAH, at, new_task

BASE = new_task(notes="first\nsecond\nthird")


def theirs(**changes: object) -> Task:
    return updated(BASE, TaskChanges(**changes), by=MIKE, at=at(1))  # type: ignore[arg-type]  # chosen by the test


class TestMergeText:
    @pytest.mark.parametrize(
        ("base", "yours", "others", "merged"),
        [
            ("a\nb\nc", "A\nb\nc", "a\nb\nC", "A\nb\nC"),
            ("a\nb\nc", "a\nc", "a\nb\nc\nd", "a\nc\nd"),
            ("a\nb", "a\nb\n", "a\nb", "a\nb\n"),
            ("", "x", "", "x"),
            ("a", "b", "b", "b"),
            ("a", "b", "c", None),
            ("", "mine", "theirs", None),
        ],
    )
    def test_takes_both_sides_where_they_touch_different_lines(
        self, base: str, yours: str, others: str, merged: str | None
    ) -> None:
        assert merge_text(base, yours, others) == merged


class TestMerge:
    def test_different_fields_are_both_kept(self) -> None:
        outcome = merge(BASE, TaskChanges(title="New"), theirs(priority=Priority.URGENT))
        assert (outcome.yours, outcome.theirs, outcome.conflicting) == (("title",), ("priority",), ())
        assert outcome.changes == TaskChanges(title="New")

    def test_the_same_change_is_no_conflict(self) -> None:
        outcome = merge(BASE, TaskChanges(title="New"), theirs(title="New"))
        assert outcome.is_clean
        assert outcome.changes == TaskChanges()

    def test_one_field_changed_differently_is_a_conflict(self) -> None:
        outcome = merge(BASE, TaskChanges(title="Mine", priority=Priority.LOW), theirs(title="Theirs"))
        assert outcome.conflicting == ("title",)

    def test_notes_are_merged_by_line(self) -> None:
        outcome = merge(BASE, TaskChanges(notes="FIRST\nsecond\nthird"), theirs(notes="first\nsecond\nTHIRD"))
        assert outcome.changes == TaskChanges(notes="FIRST\nsecond\nTHIRD")

    def test_a_merge_longer_than_a_field_may_be_is_a_conflict(self) -> None:
        half = "x" * (LONGEST_TEXT // 2 + 1)
        mine, others = f"{half}\nsecond\nthird", f"first\nsecond\n{half}"
        assert merge(BASE, TaskChanges(notes=mine), theirs(notes=others)).conflicting == ("notes",)

    def test_a_status_that_may_not_follow_theirs_is_a_conflict(self) -> None:
        outcome = merge(BASE, TaskChanges(status=TaskStatus.IN_PROGRESS), theirs(status=TaskStatus.CANCELLED))
        assert outcome.conflicting == ("status",)

    def test_nothing_merges_into_a_deleted_task(self) -> None:
        outcome = merge(BASE, TaskChanges(title="New"), deleted(BASE, by=MIKE, at=at(1)))
        assert outcome.conflicting == ("status",)


class TestConflictOf:
    def answer(self, changes: TaskChanges, current: Task, touched: tuple[str, ...] = ()) -> ConflictBody:
        body = conflict_of(
            base=BASE,
            current=current,
            expected_version=1,
            changes=changes,
            conflict_id="c_1",
            by=SARAH,
            at=at(2),
            touched=touched,
        )
        check("conflict", msgspec.json.decode(msgspec.json.encode(body)))
        return body

    def test_has_the_designs_fields_and_the_merge(self) -> None:
        current = theirs(priority=Priority.URGENT)
        body = self.answer(TaskChanges(title="New"), current)
        assert (body.error, body.message) == ("CONFLICT", "Task was modified by another user")
        assert (body.current_version, body.expected_version, body.current_task) == (2, 1, current)
        assert body.base_task == BASE
        assert body.mergeable
        assert isinstance(body.merged_task, Task)
        assert (body.merged_task.title, body.merged_task.priority, body.merged_task.version) == ("New", "urgent", 3)

    def test_without_a_merge_says_which_fields_collide(self) -> None:
        body = self.answer(TaskChanges(title="Mine"), theirs(title="Theirs"))
        assert (body.mergeable, body.merged_task, body.conflicting_fields) == (False, msgspec.UNSET, ("title",))

    def test_two_assignments_collide(self) -> None:
        current = assigned(BASE, MIKE, reason=None, by=MIKE, at=at(1))
        body = self.answer(TaskChanges(), current, touched=("assigned_to",))
        assert (body.your_changed_fields, body.conflicting_fields) == (("assigned_to",), ("assigned_to",))
        assert not body.mergeable

    def test_completing_what_is_completed_meanwhile_needs_nothing_more(self) -> None:
        current = completed(BASE, None, by=MIKE, at=at(1))
        body = self.answer(TaskChanges(status=TaskStatus.COMPLETED), current)
        assert body.merged_task == current

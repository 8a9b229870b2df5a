"""Three-way merges: laws that hold for every base and any two sets of changes."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import asdict

from channels.tasks.changes import CHANGEABLE_FIELDS, TaskChanges, updated
from channels.tasks.merge import merge, merge_text
from channels.tasks.model import Priority, Task, TaskStatus, changed_fields
from channels.tasks.status import TransitionError, may_follow
from tests.support.care import MIKE, SARAH, at, new_task

LINES = st.lists(st.sampled_from(["a", "b", "c", "d", ""]), max_size=6).map("\n".join)
CHANGES = st.builds(
    TaskChanges,
    title=st.sampled_from([UNSET, "One", "Two", "Contact member about appointment"]),
    notes=st.one_of(st.just(UNSET), LINES),
    status=st.sampled_from([UNSET, *(status for status in TaskStatus if status is not TaskStatus.DELETED)]),
    priority=st.sampled_from([UNSET, *Priority]),
    due_date=st.sampled_from([UNSET, None, "2025-11-15"]),
    completion_notes=st.one_of(st.just(UNSET), LINES),
)
BASES = st.builds(new_task, notes=LINES)


def after(base: Task, changes: TaskChanges) -> Task:
    """The base with changes, without the status if it may not follow."""
    try:
        return updated(base, changes, by=MIKE, at=at(1))
    except TransitionError:
        allowed = {name: value for name, value in asdict(changes).items() if name != "status"}
        return updated(base, TaskChanges(**allowed), by=MIKE, at=at(1))


class TestMergeText:
    @given(base=LINES, text=LINES)
    def test_one_side_alone_is_the_result(self, base: str, text: str) -> None:
        assert merge_text(base, text, base) == text
        assert merge_text(base, base, text) == text
        assert merge_text(base, text, text) == text

    @given(base=LINES, one=LINES, other=LINES)
    def test_whose_side_is_whose_does_not_matter(self, base: str, one: str, other: str) -> None:
        assert merge_text(base, one, other) == merge_text(base, other, one)

    @given(base=LINES, one=LINES, other=LINES)
    def test_no_line_comes_from_nowhere(self, base: str, one: str, other: str) -> None:
        merged = merge_text(base, one, other)
        if merged is not None:
            assert set(merged.split("\n")) <= {*base.split("\n"), *one.split("\n"), *other.split("\n")}


class TestMerge:
    @given(base=BASES, mine=CHANGES, others=CHANGES)
    def test_a_clean_merge_can_be_saved_and_loses_no_side(
        self, base: Task, mine: TaskChanges, others: TaskChanges
    ) -> None:
        theirs = after(base, others)
        outcome = merge(base, mine, theirs)
        if not outcome.is_clean:
            return
        saved = updated(theirs, outcome.changes, by=SARAH, at=at(2))
        for name in CHANGEABLE_FIELDS:
            if name in outcome.yours and name not in outcome.theirs:
                assert getattr(saved, name) == getattr(mine, name)
            if name not in outcome.yours:
                assert getattr(saved, name) == getattr(theirs, name)

    @given(base=BASES, mine=CHANGES, others=CHANGES)
    def test_fields_collide_only_where_both_touched_them_or_the_status_may_not_follow(
        self, base: Task, mine: TaskChanges, others: TaskChanges
    ) -> None:
        theirs = after(base, others)
        outcome = merge(base, mine, theirs)
        for name in outcome.conflicting:
            both = name in outcome.yours and name in outcome.theirs
            assert both or (name == "status" and not may_follow(theirs.status, mine.status or theirs.status))
        assert outcome.theirs == changed_fields(base, theirs)

    @given(base=BASES, mine=CHANGES)
    def test_where_nobody_else_changed_anything_my_changes_are_the_merge(self, base: Task, mine: TaskChanges) -> None:
        outcome = merge(base, mine, base)
        assert set(outcome.conflicting) <= {"status"}
        if outcome.is_clean:
            assert updated(base, outcome.changes, by=MIKE, at=at(1)) == updated(base, mine, by=MIKE, at=at(1))

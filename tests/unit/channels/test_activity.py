"""The feed's entries."""

from typing import Any

import msgspec
import pytest

from channels.activity import Activity, activity_of, addressee_of, in_words_for, preview
from channels.schema import check
from channels.services.presenter import document_of
from channels.subjects import MemberContacted, NoteAdded, SubjectRecord
from channels.tasks.changes import TaskChanges, assigned, completed, deleted, updated
from channels.tasks.events import TaskEvent, event_of
from channels.tasks.model import Task
from channels.views import redact
from tests.support.care import MIKE, SARAH, at, new_task


def of_change(before: Task | None, after: Task) -> TaskEvent:
    return event_of(before, after, event_id="ev_1", by=SARAH)


def entry(cause: TaskEvent | SubjectRecord) -> Activity:
    found = activity_of(cause)
    assert found is not None
    check("activity", msgspec.json.decode(msgspec.json.encode(found)))
    return found


TASK = new_task()
NOTE = NoteAdded(
    id="note_1", subject_type="member", subject_id="A123456", name="John Doe", member_id="A123456",
    text="Member confirmed appointment", by=MIKE, at=at(1), team_id="team_1",
)  # fmt: skip
CONTACT = MemberContacted(
    id="contact_1", member_id="A123456", name="John Doe", method="phone", outcome="voicemail", note="Will try again",
    by=MIKE, at=at(1), team_id="team_1",
)  # fmt: skip


class TestActivityOf:
    @pytest.mark.parametrize(
        ("cause", "kind", "description"),
        [
            (of_change(None, TASK), "task_created", "created task"),
            (
                of_change(TASK, updated(TASK, TaskChanges(title="x"), by=SARAH, at=at(1))),
                "task_updated",
                "updated task",
            ),
            (of_change(TASK, assigned(TASK, MIKE, reason=None, by=SARAH, at=at(1))), "task_assigned", "assigned task"),
            (of_change(TASK, completed(TASK, None, by=SARAH, at=at(1))), "task_completed", "completed task"),
            (of_change(TASK, deleted(TASK, by=SARAH, at=at(1))), "task_updated", "deleted task"),
            (NOTE, "note_added", "added a note"),
            (CONTACT, "member_contacted", "contacted member"),
        ],
    )
    def test_every_cause_gives_its_type(self, cause: TaskEvent | SubjectRecord, kind: str, description: str) -> None:
        found = entry(cause)
        assert (found.type, found.action_description, found.team_id) == (kind, description, "team_1")
        assert found.id == found.event_id == f"activity_{'ev_1' if isinstance(cause, TaskEvent) else cause.id}"
        assert redact("activity", msgspec.to_builtins(found))["action_description"] == description

    def test_derived_twice_it_is_the_same(self) -> None:
        assert activity_of(NOTE) == activity_of(NOTE)

    def test_names_actor_subject_and_time(self) -> None:
        found = entry(NOTE)
        assert found.actor == MIKE
        assert msgspec.to_builtins(found.subject) == {"type": "member", "id": "A123456", "name": "John Doe"}
        assert found.details == {"note_preview": "Member confirmed appointment"}
        assert found.timestamp == at(1)

    def test_a_note_on_a_service_request_has_that_subject(self) -> None:
        note = msgspec.structs.replace(NOTE, subject_type="service_request", subject_id="sr_1", name="Ride")
        assert entry(note).subject.type == "service_request"

    @pytest.mark.parametrize(
        "cause",
        [of_change(None, new_task(team_id=None)), msgspec.structs.replace(NOTE, team_id=None)],
    )
    def test_what_belongs_to_no_team_is_in_no_feed(self, cause: Any) -> None:
        assert activity_of(cause) is None

    def test_changed_notes_are_previewed(self) -> None:
        after = updated(TASK, TaskChanges(notes="n" * 100), by=SARAH, at=at(1))
        assert entry(of_change(TASK, after)).details == {
            "changed_fields": ("notes",),
            "note_preview": "n" * 80 + "...",
        }

    def test_taking_a_task_back_is_said_so(self) -> None:
        task = new_task(assignee=MIKE)
        found = entry(of_change(task, assigned(task, None, reason=None, by=SARAH, at=at(1))))
        assert found.action_description == "unassigned task"

    def test_anything_else_is_no_cause(self) -> None:
        with pytest.raises(TypeError):
            activity_of("task.created")  # type: ignore[arg-type]


class TestInWordsFor:
    def test_the_assignee_reads_that_it_was_assigned_to_them(self) -> None:
        found = document_of(entry(of_change(TASK, assigned(TASK, MIKE, reason=None, by=SARAH, at=at(1)))))
        assert in_words_for("cc_789", found) == {**found, "action_description": "assigned task to you"}
        assert in_words_for("cc_456", found) is found

    @pytest.mark.parametrize(
        "entry", [{}, {"type": "task_assigned"}, {"type": "task_assigned", "details": {"assigned_to": 7}}]
    )
    def test_an_entry_that_names_no_assignee_has_words_for_nobody_alone(self, entry: dict[str, Any]) -> None:
        assert addressee_of(entry) is None


class TestPreview:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [("short", "short"), ("two\n\nlines", "two lines"), ("x" * 80, "x" * 80), ("x" * 81, "x" * 80 + "...")],
    )
    def test_is_one_line_of_at_most_eighty_characters(self, text: str, shown: str) -> None:
        assert preview(text) == shown

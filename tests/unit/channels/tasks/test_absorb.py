"""Events of other services."""

from typing import Any

from msgspec.structs import replace

from channels.tasks.absorb import absorb
from channels.tasks.events import TaskEvent, read_event
from tests.support.care import MIKE, at, new_task

TASK = replace(new_task(assignee=MIKE, notes="ours"), version=4)


def foreign(kind: str, task: dict[str, Any], version: int = 9) -> TaskEvent:
    return read_event(
        {
            "event_id": "f_1",
            "type": f"task.{kind}",
            "task_id": "task_789",
            "version": version,
            "task": {"id": "task_789", **task},
            "changed_by": {"user_id": "system", "user_name": "CareFlow", "user_role": "system"},
            "timestamp": at(9),
        }
    )


class TestAbsorb:
    def test_what_the_event_does_not_say_stays(self) -> None:
        after = absorb(TASK, foreign("updated", {"priority": "urgent"}))
        assert after == replace(
            TASK,
            priority="urgent",
            version=9,
            last_modified_by="system",
            last_modified_by_name="CareFlow",
            last_modified_at=at(9),
        )

    def test_an_assignment_that_names_nobody_takes_the_task_back(self) -> None:
        after = absorb(TASK, foreign("assigned", {}))
        assert after is not None
        assert (after.assigned_to, after.assigned_to_name) == (None, None)

    def test_a_deletion_needs_no_status(self) -> None:
        after = absorb(TASK, foreign("deleted", {}))
        assert after is not None
        assert after.status == "deleted"

    def test_a_task_we_do_not_have_is_made_from_what_is_said(self) -> None:
        after = absorb(None, foreign("created", {"title": "Call", "member_id": "A1"}))
        assert after is not None
        assert (after.title, after.member_id, after.version) == ("Call", "A1", 9)
        assert (after.status, after.priority, after.notes) == ("pending", "medium", "")

    def test_a_task_of_which_too_little_is_said_stays_unknown(self) -> None:
        assert absorb(None, foreign("assigned", {"assigned_to": "cc_789"})) is None

"""A task's life as a state machine: every step against a naive model, every event against its schema."""

from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channels.relations import Relation
from channels.routes import channels_of
from channels.schema import check
from channels.services.commits import commit_of_change
from channels.stores.records import Commit
from channels.tasks.changes import TaskChanges, assigned, completed, deleted, updated
from channels.tasks.events import read_event
from channels.tasks.model import Priority, Task, TaskStatus, User, changed_fields
from channels.tasks.status import TRANSITIONS, TransitionError
from tests.support.care import MIKE, SARAH, at, new_task

PEOPLE = st.sampled_from([SARAH, MIKE])
STATUSES = st.sampled_from([status for status in TaskStatus if status is not TaskStatus.DELETED])
#: What the body of an update lets through.
NOTES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


class TaskLife(RuleBasedStateMachine):
    """One task, changed by two people in any way at all."""

    def __init__(self) -> None:
        super().__init__()
        self.task: Task = new_task()
        self.commits: list[Commit] = [commit_of_change(None, self.task, event_id="ev_1", by=SARAH)]

    def take(self, after: Task, by: User, message: str | None = None) -> None:
        """A change went through."""
        before, self.task = self.task, after
        if after is before:
            return
        commit = commit_of_change(before, after, event_id=f"ev_{after.version}", by=by, message=message)
        self.commits.append(commit)
        assert after.version == before.version + 1
        assert after.last_modified_by == by.user_id
        assert changed_fields(before, after)

    @rule(by=PEOPLE, status=STATUSES, notes=NOTES, priority=st.sampled_from(list(Priority)))
    def update(self, by: User, status: TaskStatus, notes: str, priority: Priority) -> None:
        """Change several fields."""
        changes = TaskChanges(status=status, notes=notes, priority=priority)
        allowed = status is self.task.status or status in TRANSITIONS[self.task.status]
        try:
            after = updated(self.task, changes, by=by, at=at(self.task.version))
        except TransitionError:
            assert not allowed
        else:
            assert allowed
            assert (after.status is TaskStatus.COMPLETED) == (after.completed_at is not None)
            self.take(after, by)

    @rule(by=PEOPLE, team_id=st.sampled_from([None, "team_1", "team_2"]))
    def move(self, by: User, team_id: str | None) -> None:
        """Give it to another team."""
        if self.task.status is not TaskStatus.DELETED:
            self.take(updated(self.task, TaskChanges(team_id=team_id), by=by, at=at(self.task.version)), by)

    @rule(by=PEOPLE, to=st.sampled_from([None, SARAH, MIKE]))
    def assign(self, by: User, to: User | None) -> None:
        """Give it to somebody."""
        if self.task.status is not TaskStatus.DELETED:
            self.take(assigned(self.task, to, reason="r", by=by, at=at(self.task.version)), by, "Please")

    @rule(by=PEOPLE)
    def complete(self, by: User) -> None:
        """Complete it, if that may be."""
        if TaskStatus.COMPLETED in TRANSITIONS[self.task.status]:
            self.take(completed(self.task, "done", by=by, at=at(self.task.version)), by)

    @rule(by=PEOPLE)
    def delete(self, by: User) -> None:
        """Delete it, if that may be."""
        if TaskStatus.DELETED in TRANSITIONS[self.task.status]:
            self.take(deleted(self.task, by=by, at=at(self.task.version)), by)

    @invariant()
    def every_event_passes_its_schema_and_has_roads(self) -> None:
        """The newest commit's events are what they should be."""
        for outgoing in self.commits[-1].outgoing:
            document: dict[str, Any] = msgspec.json.decode(outgoing.payload)
            check(document["type"] if "." in document["type"] else "activity", document)
            assert document["type"] == outgoing.type
            assert document["event_id"] == outgoing.event_id
            assert channels_of(document)

    @invariant()
    def the_newest_event_tells_the_whole_task(self) -> None:
        """A reader who missed everything before knows the task from the last event."""
        event = read_event(msgspec.json.decode(self.commits[-1].outgoing[0].payload))
        assert msgspec.convert(msgspec.to_builtins(event.task), Task) == self.task

    @invariant()
    def relations_follow(self) -> None:
        """The relations of all commits together are those of the task as it is."""
        held: set[Relation] = set()
        for commit in self.commits:
            for operation, relation in commit.relations:
                (held.add if operation == "touch" else held.discard)(relation)
        subjects = {(relation.relation, relation.subject_id) for relation in held}
        fields = {"assignee": self.task.assigned_to, "team": self.task.team_id, "member": self.task.member_id}
        assert subjects == {(name, value) for name, value in fields.items() if value}


TestTaskLife = TaskLife.TestCase

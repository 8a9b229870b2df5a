"""Tasks and people for tests."""

from itertools import count

from channels.services.commits import commit_of_change
from channels.stores.records import Commit
from channels.tasks.changes import NewTask, TaskChanges, created, updated
from channels.tasks.model import Task, User
from channels.timestamps import iso_utc_ms

BORN_S = 1_763_028_000.0
SARAH = User("cc_456", "Sarah Johnson", "care_coordinator", "https://cdn.example/avatars/cc_456.jpg")
MIKE = User("cc_789", "Mike Chen", "care_coordinator")


def at(seconds: float) -> str:
    """A moment of the test's time."""
    return iso_utc_ms(BORN_S + seconds)


def new_task(task_id: str = "task_789", *, assignee: User | None = None, **fields: object) -> Task:
    """The first version of a task; ``fields`` as in :class:`NewTask`."""
    wished: dict[str, object] = {
        "title": "Contact member about appointment",
        "member_id": "A123456",
        "team_id": "team_1",
        **fields,
    }
    return created(
        NewTask(**wished),  # type: ignore[arg-type]  # the fields of NewTask, chosen by the test
        task_id=task_id,
        member_name="John Doe",
        assignee=assignee,
        by=SARAH,
        at=at(0),
    )


class Story:
    """Makes commits with ids of their own, as the service does; ``prefix`` keeps two stories' ids apart."""

    def __init__(self, prefix: str = "ev_") -> None:
        self._prefix = prefix
        self._numbers = count(1)

    def _id(self) -> str:
        return f"{self._prefix}{next(self._numbers)}"

    def create(self, task: Task) -> Commit:
        """Commit of a new task."""
        return commit_of_change(None, task, event_id=self._id(), by=SARAH)

    def change(self, before: Task, after: Task, by: User = SARAH) -> Commit:
        """Commit of a change."""
        return commit_of_change(before, after, event_id=self._id(), by=by)

    def edit(self, task: Task, notes: str, *, by: User = SARAH, seconds: float = 1) -> tuple[Task, Commit]:
        """A task with other notes, and its commit."""
        after = updated(task, TaskChanges(notes=notes), by=by, at=at(seconds))
        return after, self.change(task, after, by)

"""The state machine of a task's status."""

from collections.abc import Mapping
from typing import Final

from channels.tasks.model import TaskStatus

#: Status to those that may follow. Staying is always allowed, and no change.
TRANSITIONS: Final[Mapping[TaskStatus, frozenset[TaskStatus]]] = {
    TaskStatus.PENDING: frozenset(
        {TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.DELETED}
    ),
    TaskStatus.IN_PROGRESS: frozenset(
        {TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.DELETED}
    ),
    # Done too early is reopened where it was left.
    TaskStatus.COMPLETED: frozenset({TaskStatus.IN_PROGRESS, TaskStatus.DELETED}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.PENDING, TaskStatus.DELETED}),
    TaskStatus.DELETED: frozenset(),
}


class TransitionError(Exception):
    """A status that may not follow the one a task has, or any change of a deleted task.

    Attributes:
        before: The status it has.
        after: The status wished.
    """

    def __init__(self, before: TaskStatus, after: TaskStatus) -> None:
        self.before = before
        self.after = after
        if before is TaskStatus.DELETED:
            super().__init__("The task was deleted")
        elif before is after:
            super().__init__(f"The task is {before.value} already")
        else:
            super().__init__(f"A task that is {before.value} cannot become {after.value}")


def may_follow(before: TaskStatus, after: TaskStatus) -> bool:
    """Tell whether ``after`` may follow ``before``."""
    return before is after or after in TRANSITIONS[before]


def check_transition(before: TaskStatus, after: TaskStatus) -> None:
    """Return if ``after`` may follow ``before``.

    Raises:
        TransitionError: If it may not.
    """
    if not may_follow(before, after):
        raise TransitionError(before, after)

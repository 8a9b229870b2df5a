"""Changes of a task: each takes the task as it is and returns it as it will be, one version on."""

from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from channels.tasks.model import Priority, Task, TaskStatus, User
from channels.tasks.status import TransitionError, check_transition


class TaskChanges(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields an update sets; an unset one stays. ``due_date`` and ``team_id`` may be set to nothing."""

    title: str | UnsetType = UNSET
    notes: str | UnsetType = UNSET
    status: TaskStatus | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    due_date: str | UnsetType | None = UNSET
    team_id: str | UnsetType | None = UNSET
    completion_notes: str | UnsetType = UNSET


#: Fields that :class:`TaskChanges` may set.
CHANGEABLE_FIELDS: Final = TaskChanges.__struct_fields__


class NewTask(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a task is created from: the body ``body.task.create``."""

    title: str
    member_id: str
    notes: str = ""
    priority: Priority = Priority.MEDIUM
    due_date: str | None = None
    team_id: str | None = None
    assigned_to: str | None = None
    message: str | None = None


def created(new: NewTask, *, task_id: str, member_name: str, assignee: User | None, by: User, at: str) -> Task:
    """Return the first version of a task, for ``assignee``, whom ``new.assigned_to`` names.

    ``at`` is ISO 8601, UTC, milliseconds; so everywhere here.
    """
    task = Task(
        id=task_id,
        title=new.title,
        member_id=new.member_id,
        member_name=member_name,
        notes=new.notes,
        status=TaskStatus.PENDING,
        priority=new.priority,
        version=1,
        created_by=by.user_id,
        created_at=at,
        last_modified_by=by.user_id,
        last_modified_at=at,
        last_modified_by_name=by.user_name,
        team_id=new.team_id,
        due_date=new.due_date,
    )
    return task if assignee is None else replace(task, **_assignment(assignee, None, by))


def updated(task: Task, changes: TaskChanges, *, by: User, at: str) -> Task:
    """Return the task with ``changes``; the same task if they change nothing, a deleted one too.

    Raises:
        TransitionError: If the new status may not follow, or the task was deleted.
    """
    wished = {name: value for name, value in asdict(changes).items() if value is not UNSET}
    if not _differs(task, wished):
        return task
    _check_exists(task)
    status = wished.get("status", task.status)
    check_transition(task.status, status)
    if status is not task.status:
        wished["completed_at"] = at if status is TaskStatus.COMPLETED else None
    return _next(task, wished, by, at)


def assigned(task: Task, assignee: User | None, *, reason: str | None, by: User, at: str) -> Task:
    """Return the task given to ``assignee``, or to nobody; the same task if it is theirs already.

    Raises:
        TransitionError: If the task was deleted.
    """
    _check_exists(task)
    if (assignee.user_id if assignee else None) == task.assigned_to:
        return task
    return _next(task, _assignment(assignee, reason, by), by, at)


def completed(task: Task, completion_notes: str | None, *, by: User, at: str) -> Task:
    """Return the task completed.

    Raises:
        TransitionError: If it is completed already, cancelled or deleted.
    """
    if task.status is TaskStatus.COMPLETED:
        raise TransitionError(task.status, TaskStatus.COMPLETED)
    wished = TaskChanges(status=TaskStatus.COMPLETED, completion_notes=completion_notes or UNSET)
    return updated(task, wished, by=by, at=at)


def deleted(task: Task, *, by: User, at: str) -> Task:
    """Return the task withdrawn.

    Raises:
        TransitionError: If it was deleted already.
    """
    _check_exists(task)
    return _next(task, {"status": TaskStatus.DELETED}, by, at)


def _check_exists(task: Task) -> None:
    if task.status is TaskStatus.DELETED:
        raise TransitionError(task.status, task.status)


def _assignment(assignee: User | None, reason: str | None, by: User) -> dict[str, Any]:
    return {
        "assigned_to": assignee.user_id if assignee else None,
        "assigned_to_name": assignee.user_name if assignee else None,
        "assigned_by": by.user_id,
        "assigned_by_name": by.user_name,
        "reason": reason,
    }


def _differs(task: Task, wished: dict[str, Any]) -> bool:
    return any(getattr(task, name) != value for name, value in wished.items())


def _next(task: Task, wished: dict[str, Any], by: User, at: str) -> Task:
    if not _differs(task, wished):
        return task
    return replace(
        task,
        **wished,
        version=task.version + 1,
        last_modified_by=by.user_id,
        last_modified_by_name=by.user_name,
        last_modified_at=at,
    )

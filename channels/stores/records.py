"""What the stores keep beside tasks, and the one shape of every write: :class:`Commit`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from channels.activity import Activity
from channels.notifications import TaskAssigned
from channels.relations import Operation, Relation
from channels.subjects import Member, ServiceRequest, SubjectRecord
from channels.tasks.conflict import Resolution
from channels.tasks.model import Priority, Task, TaskStatus, User


class Team(Struct, frozen=True, kw_only=True):
    """A team of the care organisation."""

    id: str
    name: str


class Kept(Struct, frozen=True, kw_only=True):
    """A conflict that ``user_id`` resolved by giving up their changes for the version there was."""

    conflict_id: str
    user_id: str
    resolved_at: str


class TaskVersion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a task, kept for ever.

    Attributes:
        event_id: The event that told of it.
        values: The whole task at that version.
        resolution: How it resolved the conflict ``conflict_id``, if it did.
        kept_over: Conflicts resolved by ``keep_theirs`` in favour of this version; told by lists, never stored with it.
    """

    task_id: str
    version: int
    event_id: str
    type: str
    changed_at: str
    changed_by: User
    changed_fields: tuple[str, ...]
    values: Task
    resolution: str | None = None
    conflict_id: str | None = None
    kept_over: tuple[Kept, ...] = ()


class Outgoing(Struct, frozen=True, kw_only=True):
    """An event on its way out, written in the transaction of the change it tells of.

    Attributes:
        key: Events of one key leave in order; the task's id where there is one.
        payload: JSON of the event.
        created_at: ISO 8601, UTC, milliseconds.
    """

    event_id: str
    type: str
    key: str
    payload: str
    created_at: str


class OutboxEntry(Struct, frozen=True):
    """An :class:`Outgoing` as it waits. ``seq`` identifies it; on PostgreSQL a lower one may appear later."""

    seq: int
    event: Outgoing


class Backlog(Struct, frozen=True):
    """How much waits in the outbox: number of events, and when the oldest was written, None if there is none."""

    count: int
    oldest_at: str | None


class InboxEntry(Struct, frozen=True, kw_only=True):
    """An event of another service that has had its effect."""

    event_id: str
    task_id: str
    version: int
    seen_at: str


class StoredReply(Struct, frozen=True, kw_only=True):
    """What a request with an idempotency key was answered; kept for the next one with the same key.

    Attributes:
        actor: The user who sent it: keys of different users never meet.
        body_hash: Of the operation and its body; another one under the same key is refused.
        status: As in HTTP.
        body: JSON, as the one who asked would see it with all rights; redacted anew each time it is sent.
    """

    actor: str
    key: str
    body_hash: str
    status: int
    body: str
    stored_at: str


class Conflict(Struct, frozen=True, kw_only=True):
    """A conflict that somebody was told of. ``resolution`` is None until the write that resolves it."""

    id: str
    task_id: str
    user_id: str
    expected_version: int
    current_version: int
    detected_at: str
    resolution: Resolution | None = None
    resolved_at: str | None = None


class Resolved(Struct, frozen=True, kw_only=True):
    """The resolution of a conflict."""

    conflict_id: str
    resolution: Resolution
    resolved_at: str


class FeatureSwitch(Struct, frozen=True, kw_only=True):
    """Who gets a feature: ``percentage`` of the users, and everybody in ``teams``."""

    name: str
    percentage: int
    teams: tuple[str, ...] = ()
    changed_at: str = ""


class TaskWrite(Struct, frozen=True, kw_only=True):
    """A task's new state; taken only if the stored version is ``expected_version`` (0: if there is no such task)."""

    task: Task
    expected_version: int


class Commit(Struct, frozen=True, kw_only=True):
    """Everything that one change writes: all of it in one transaction, or nothing."""

    write: TaskWrite | None = None
    version: TaskVersion | None = None
    outgoing: tuple[Outgoing, ...] = ()
    activity: Activity | None = None
    notification: TaskAssigned | None = None
    record: SubjectRecord | None = None
    inbox: InboxEntry | None = None
    reply: StoredReply | None = None
    conflict: Conflict | None = None
    resolved: Resolved | None = None
    relations: tuple[tuple[Operation, Relation], ...] = ()
    members: tuple[Member, ...] = ()
    service_requests: tuple[ServiceRequest, ...] = ()
    users: tuple[User, ...] = ()
    teams: tuple[Team, ...] = ()
    switches: tuple[FeatureSwitch, ...] = ()


SortField = Literal["due_date", "priority", "created_at", "last_modified_at", "title"]


class TaskQuery(Struct, frozen=True, kw_only=True):
    """Filters, order and place of a page of tasks: the body ``body.task.list``, its cursor decoded.

    Attributes:
        status: Any of these; without it, all but deleted.
        due_from: ``YYYY-MM-DD``, included, as is ``due_to``; tasks without a date are not within any range.
        after: The last task of the page before, by sort value and id. Of a title, which is PHI, only the id.
    """

    assigned_to: str | None = None
    member_id: str | None = None
    team_id: str | None = None
    status: tuple[TaskStatus, ...] = ()
    priority: tuple[Priority, ...] = ()
    due_from: str | None = None
    due_to: str | None = None
    sort: SortField = "due_date"
    order: Literal["asc", "desc"] = "asc"
    limit: int = 50
    after: "After | None" = None


class After(Struct, frozen=True):
    """Where a page of tasks ended."""

    task_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    value: Annotated[str, Meta(pattern=r"^[0-9TZ:.+-]{1,35}$")] | Annotated[int, Meta(ge=0, le=3)] | None = None


class Below(Struct, frozen=True):
    """The entry that a page of a feed ended with: not its position, which would count what is hidden."""

    entry_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,160}$")]

"""From a change to everything it writes. Pure: ids and times come from outside."""

from collections.abc import Iterator

from msgspec.structs import asdict

from channels.activity import Activity, activity_of
from channels.notifications import TASK_ASSIGNED, TaskAssigned, notification_of
from channels.relations import Operation, Relation, changes_between, relations_of_member, relations_of_task
from channels.stores.records import Commit, InboxEntry, Outgoing, Resolved, StoredReply, TaskVersion, TaskWrite
from channels.stores.rows import json_text
from channels.subjects import Member, SubjectRecord
from channels.tasks.events import TaskEvent, event_of
from channels.tasks.model import Task, User, changed_fields


def commit_of_change(
    before: Task | None,
    after: Task,
    *,
    event_id: str,
    by: User,
    changed_in: str | None = None,
    message: str | None = None,
    resolved: Resolved | None = None,
    reply: StoredReply | None = None,
) -> Commit:
    """Return what a change of a task writes: the task, its version, its event, and what follows from the event.

    ``before`` is None for a task that was created; ``changed_in`` names the session it was changed in; ``message`` is
    for who is notified.
    """
    resolution = (resolved.resolution.value, resolved.conflict_id) if resolved else None
    event = event_of(before, after, event_id=event_id, by=by, changed_in=changed_in, resolution=resolution)
    activity, notification = activity_of(event), notification_of(event, message)
    return Commit(
        write=TaskWrite(task=after, expected_version=before.version if before else 0),
        version=_version_of(before, after, event, resolution),
        outgoing=(_outgoing(event, event.type, event.task_id), *_follow(event.task_id, activity, notification)),
        activity=activity,
        notification=notification,
        relations=_relation_changes(before, after),
        resolved=resolved,
        reply=reply,
    )


def commit_of_event(before: Task | None, after: Task | None, event: TaskEvent, *, seen_at: str) -> Commit:
    """Return what an event of another service writes. It is not put in the outbox: it is on its road already.

    ``after`` is None if the event says too little to know the task by.
    """
    activity, notification = activity_of(event), notification_of(event)
    return Commit(
        write=TaskWrite(task=after, expected_version=before.version if before else 0) if after else None,
        version=_version_of(before, after, event, None) if after else None,
        outgoing=tuple(_follow(event.task_id, activity, notification)),
        activity=activity,
        notification=notification,
        relations=_relation_changes(before, after) if after else (),
        inbox=InboxEntry(event_id=event.event_id, task_id=event.task_id, version=event.version, seen_at=seen_at),
    )


def commit_of_record(record: SubjectRecord, *, reply: StoredReply | None = None) -> Commit:
    """Return what a note or a contact writes."""
    activity = activity_of(record)
    return Commit(record=record, activity=activity, outgoing=tuple(_follow(record.id, activity, None)), reply=reply)


def commit_of_member(before: Member | None, after: Member, *, reply: StoredReply | None = None) -> Commit:
    """Return what creating or changing a member writes."""
    return Commit(
        members=(after,),
        relations=_between(_relations_of(before) if before else frozenset(), _relations_of(after)),
        reply=reply,
    )


def _version_of(before: Task | None, after: Task, event: TaskEvent, resolution: tuple[str, str] | None) -> TaskVersion:
    how, conflict_id = resolution or (None, None)
    return TaskVersion(
        task_id=after.id,
        version=after.version,
        event_id=event.event_id,
        type=event.type,
        changed_at=event.timestamp,
        changed_by=event.changed_by,
        changed_fields=changed_fields(before, after) if before else (),
        values=after,
        resolution=how,
        conflict_id=conflict_id,
    )


def _follow(key: str, activity: Activity | None, notification: TaskAssigned | None) -> Iterator[Outgoing]:
    """The events that an event causes leave after it, under the same key."""
    if activity is not None:
        yield _outgoing(activity, activity.type, key)
    if notification is not None:
        yield _outgoing(notification, TASK_ASSIGNED, key)


def _outgoing(event: TaskEvent | Activity | TaskAssigned, kind: str, key: str) -> Outgoing:
    return Outgoing(event_id=event.event_id, type=kind, key=key, payload=json_text(event), created_at=event.timestamp)


def _relation_changes(before: Task | None, after: Task) -> tuple[tuple[Operation, Relation], ...]:
    old = relations_of_task(asdict(before)) if before else frozenset()
    return _between(old, relations_of_task(asdict(after)))


def _relations_of(member: Member) -> frozenset[Relation]:
    return relations_of_member(member.id, team_ids=(member.team_id,) if member.team_id else ())


def _between(old: frozenset[Relation], new: frozenset[Relation]) -> tuple[tuple[Operation, Relation], ...]:
    # The store gives the revision.
    return tuple((change.operation, change.relation) for change in changes_between(old, new, revision=0))

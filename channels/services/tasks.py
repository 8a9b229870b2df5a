"""The operations that change tasks: create, update, assign, complete, delete."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from bayeux_server.server.clock import Clock
from channels.locks.guard import LockGuard, WriteIntent
from channels.policy import edit_task, view_phi, view_team
from channels.services.caller import Caller, ConflictObserver, NewId, Reply
from channels.services.commits import commit_of_change
from channels.services.errors import (
    BusyError,
    ForbiddenError,
    InvalidTransitionError,
    LockedError,
    NotFoundError,
    UnknownReferenceError,
    VersionConflictError,
    VersionRequiredError,
)
from channels.services.idempotency import Once
from channels.services.presenter import Presenter, document_of
from channels.stores.port import CareStore, ReplyExistsError, VersionMismatchError
from channels.stores.records import Commit, Conflict, Resolved, StoredReply
from channels.tasks.changes import NewTask, TaskChanges, assigned, completed, created, deleted, updated
from channels.tasks.conflict import Resolution, conflict_of
from channels.tasks.model import Task, TaskStatus, User, changed_fields
from channels.tasks.status import TransitionError
from channels.timestamps import iso_utc_ms
from channels.views import View

#: How often an operation that names no version looks again when others change the task under it.
MOST_ATTEMPTS: Final = 8


class Change(Struct, frozen=True, kw_only=True):
    """One wish to change a task.

    Attributes:
        apply: Gives the task as wished, at a time.
        expected_version: Which version the caller knows; None for whichever there is.
        changes: What of it can be merged, if the version is old.
        touched: Fields it sets beyond ``changes``.
        message: For who is notified.
        resolution: How it resolves the conflict ``conflict_id``.
        tokens: Fencing tokens of locks, by field.
    """

    task_id: str
    apply: Callable[[Task, str], Task]
    expected_version: int | None
    changes: TaskChanges = TaskChanges()
    touched: tuple[str, ...] = ()
    message: str | None = None
    resolution: Resolution | None = None
    conflict_id: str | None = None
    tokens: Mapping[str, int] = {}


class TaskChanging:
    """Changes tasks for callers who may. Every method takes a body that has passed its schema.

    All raise :class:`channels.services.errors.CareError`; ``OSError`` if the store cannot be reached.
    """

    def __init__(
        self,
        store: CareStore,
        presenter: Presenter,
        locks: LockGuard,
        clock: Clock,
        new_id: NewId,
        conflicts: ConflictObserver,
    ) -> None:
        self._store = store
        self._presenter = presenter
        self._locks = locks
        self._clock = clock
        self._new_id = new_id
        self._conflicts = conflicts

    async def create(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Create a task (``body.task.create``): 201. The caller sees the member's PHI, or does not know the member."""
        once = Once("task.create", caller, body, key)
        if stored := await once.answered(self._store):
            return await self._again(caller, stored)
        new = msgspec.convert(body, NewTask)
        member = await self._store.member(new.member_id)
        if member is None or not await self._presenter.permits(caller, view_phi(member.id)):
            raise UnknownReferenceError("member_id")
        if new.team_id is not None and not await self._presenter.permits(caller, view_team(new.team_id)):
            raise UnknownReferenceError("team_id")
        assignee = await self._user(new.assigned_to)
        at = self._now()
        task = created(
            new,
            task_id=self._new_id("task"),
            member_name=member.name,
            assignee=assignee,
            by=caller.user,
            at=at,
        )
        reply = once.reply(201, task, at)
        commit = commit_of_change(
            None,
            task,
            event_id=self._new_id("ev"),
            by=caller.user,
            changed_in=caller.session,
            message=new.message,
            reply=reply,
        )
        try:
            await self._store.commit(commit)
        except ReplyExistsError:
            return await self.create(caller, body, key)
        return await self._told(caller, task, View.FULL, 201)

    async def update(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Change fields (``body.task.update``), maybe resolving a conflict. The version must be named."""
        if "version" not in body:
            raise VersionRequiredError
        changes = msgspec.convert(body["changes"], TaskChanges)
        if changes.team_id and not await self._presenter.permits(caller, view_team(changes.team_id)):
            raise UnknownReferenceError("changes.team_id")
        change = Change(
            task_id=body["task_id"],
            apply=lambda task, at: updated(task, changes, by=caller.user, at=at),
            changes=changes,
            **_terms_of(body),
        )
        return await self._change(caller, change, Once("task.update", caller, body, key))

    async def assign(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Give a task to somebody, or take it back (``body.task.assign``)."""
        assignee = await self._user(body["assigned_to"])
        change = Change(
            task_id=body["task_id"],
            apply=lambda task, at: assigned(task, assignee, reason=body.get("reason"), by=caller.user, at=at),
            touched=("assigned_to",),
            message=body.get("message"),
            **_terms_of(body),
        )
        return await self._change(caller, change, Once("task.assign", caller, body, key))

    async def complete(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Complete a task (``body.task.complete``)."""
        notes = body.get("completion_notes")
        change = Change(
            task_id=body["task_id"],
            apply=lambda task, at: completed(task, notes, by=caller.user, at=at),
            changes=TaskChanges(status=TaskStatus.COMPLETED, completion_notes=notes or UNSET),
            **_terms_of(body),
        )
        return await self._change(caller, change, Once("task.complete", caller, body, key))

    async def delete(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Withdraw a task (``body.task.delete``). Its versions stay; nobody finds it any more.

        Somebody else's lock on any field refuses it: what they are writing would be lost.
        """
        change = Change(
            task_id=body["task_id"],
            apply=lambda task, at: deleted(task, by=caller.user, at=at),
            touched=("status",),
            **_terms_of(body),
        )
        return await self._change(caller, change, Once("task.delete", caller, body, key))

    async def _change(self, caller: Caller, change: Change, once: Once) -> Reply:
        """Read, change and commit; again from the start as often as another write came between."""
        for _ in range(MOST_ATTEMPTS):
            if stored := await once.answered(self._store):
                return await self._again(caller, stored)
            task, view = await self._editable(caller, change)
            if change.expected_version not in (None, task.version):
                raise await self._conflict(caller, change, task, view)
            try:
                return await self._attempt(caller, change, once, task, view)
            except (VersionMismatchError, ReplyExistsError):
                continue
        raise BusyError

    async def _attempt(self, caller: Caller, change: Change, once: Once, task: Task, view: View) -> Reply:
        at = self._now()
        try:
            after = change.apply(task, at)
        except TransitionError as error:
            raise InvalidTransitionError(str(error)) from error
        fields = changed_fields(task, after)
        withdrawn = after.status is TaskStatus.DELETED
        warnings = await self._check_locks(caller, change, None if withdrawn else fields) if fields else ()
        resolved = await self._resolved(caller, change, at)
        reply = once.reply(200, after, at)
        if after.version == task.version:
            commit = Commit(resolved=resolved, reply=reply)
        else:
            commit = commit_of_change(
                task,
                after,
                event_id=self._new_id("ev"),
                by=caller.user,
                changed_in=caller.session,
                message=change.message,
                resolved=resolved,
                reply=reply,
            )
        if commit != Commit():
            await self._store.commit(commit)
        if resolved is not None:
            self._conflicts.resolved(resolved.resolution)
        told = await self._told(caller, after, view, 200)
        return told._replace(body={**told.body, "lock_warnings": warnings}) if warnings else told

    async def _editable(self, caller: Caller, change: Change) -> tuple[Task, View]:
        """Return the task and how much of it the caller sees, if they may change it."""
        task = await self._store.task(change.task_id)
        if task is None or (task.status is TaskStatus.DELETED and change.expected_version is None):
            raise NotFoundError
        [view] = await self._presenter.views(caller, "task", [document_of(task)])
        if view is View.HIDDEN:
            raise NotFoundError
        if not await self._presenter.permits(caller, edit_task(task.id)):
            raise ForbiddenError
        return task, view

    async def _check_locks(
        self, caller: Caller, change: Change, fields: tuple[str, ...] | None
    ) -> Sequence[Mapping[str, str]]:
        """Return what the writer is to be warned of: locks of others, where they do not refuse the write.

        No ``fields`` stand for the whole task.
        """
        written = None if fields is None else frozenset(fields)
        intent = WriteIntent(change.task_id, written, caller.user.user_id, change.tokens)
        verdict = await self._locks.check(intent)
        if not verdict.allowed:
            raise LockedError(verdict.body(change.task_id))
        return verdict.locked_fields

    async def _resolved(self, caller: Caller, change: Change, at: str) -> Resolved | None:
        if change.resolution is None or change.conflict_id is None:
            return None
        conflict = await self._store.conflict(change.conflict_id)
        about = conflict and (conflict.task_id, conflict.user_id, conflict.resolution)
        if about != (change.task_id, caller.user.user_id, None):
            raise UnknownReferenceError("conflict_id")
        return Resolved(conflict_id=change.conflict_id, resolution=change.resolution, resolved_at=at)

    async def _conflict(self, caller: Caller, change: Change, current: Task, view: View) -> Exception:
        """Record the conflict, and return the refusal that tells of it."""
        expected = change.expected_version or 0
        base = await self._store.task_version(current.id, expected)
        at = self._now()
        body = conflict_of(
            base=None if base is None else base.values,
            current=current,
            expected_version=expected,
            changes=change.changes,
            touched=change.touched,
            conflict_id=self._new_id("conflict"),
            by=caller.user,
            at=at,
        )
        record = Conflict(
            id=body.conflict_id,
            task_id=current.id,
            user_id=caller.user.user_id,
            expected_version=expected,
            current_version=current.version,
            detected_at=at,
        )
        await self._store.commit(Commit(conflict=record))
        self._conflicts.detected()
        [document] = await self._presenter.shown_as(caller, "conflict", [(view, document_of(body))])
        return VersionConflictError(document or {})

    async def _user(self, user_id: str | None) -> User | None:
        if user_id is None:
            return None
        user = await self._store.user(user_id)
        if user is None:
            raise UnknownReferenceError("assigned_to")
        return user

    async def _again(self, caller: Caller, stored: StoredReply) -> Reply:
        """Answer as before, as far as the caller may see it today."""
        document = msgspec.json.decode(stored.body)
        [seen] = await self._presenter.shown(caller, "task", [document])
        if seen is None:
            raise NotFoundError
        return Reply(stored.status, seen, document["version"])

    async def _told(self, caller: Caller, task: Task, view: View, status: int) -> Reply:
        # By the view from before the change: a checker may not know of the change yet.
        [seen] = await self._presenter.shown_as(caller, "task", [(view, document_of(task))])
        return Reply(status, seen or {}, task.version)

    def _now(self) -> str:
        return iso_utc_ms(self._clock.wall())


def _terms_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every write may say beside its wish, as fields of :class:`Change`."""
    terms = {"expected_version": body.get("version"), "tokens": body.get("fencing_tokens", {})}
    if "resolution" in body:
        terms |= {"resolution": Resolution(body["resolution"]), "conflict_id": body["conflict_id"]}
    return terms

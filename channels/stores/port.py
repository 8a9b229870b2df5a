"""The port of the stores, and the errors every adapter raises."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from channels.activity import Activity, ActivityType
from channels.notifications import NotificationsRead, TaskAssigned
from channels.relations import Relation, RelationChange
from channels.stores.records import (
    Backlog,
    Commit,
    Conflict,
    FeatureSwitch,
    OutboxEntry,
    StoredReply,
    TaskQuery,
    TaskVersion,
    Team,
)
from channels.stores.signals import Signals
from channels.subjects import Member, ServiceRequest, SubjectRecord
from channels.tasks.model import Task, User


class StoreError(Exception):
    """Base of what a store refuses. Nothing of the commit was written."""


class VersionMismatchError(StoreError):
    """The stored task has another version than the commit expects, or exists where it should not."""


class ReplyExistsError(StoreError):
    """A reply is stored under this actor and idempotency key already."""


class EventKnownError(StoreError):
    """The event has had its effect already."""


class RelationsTrimmedError(StoreError):
    """Changes after the revision asked for are no longer kept: take a new snapshot."""


class OutboxBatch(Protocol):
    """Events to send. While it is open no other relay, on any node, is given any event."""

    @property
    def entries(self) -> Sequence[OutboxEntry]:
        """In the order to send. Empty if nothing waits, or another relay has a batch open."""

    async def mark_sent(self, seqs: Collection[int]) -> None:
        """Forget these events. What is not marked when the batch closes is given again."""


class CareStore(Protocol):
    """Keeps tasks, their versions and all that is written with them.

    What :meth:`commit` returned from is durable: it survives the death of the process at any instant.
    ``OSError`` means that the store could not be reached; then it is not known whether a commit took place.

    Contract: ``tests/contracts/task_store.py``. An adapter that does not run it is not an adapter.
    """

    signals: Signals

    async def start(self) -> None:
        """Open. The schema must be up to date: :func:`channels.stores.migrations.upgrade`."""

    async def stop(self) -> None:
        """Close; what was begun is finished first."""

    async def commit(self, commit: Commit) -> None:
        """Write all of ``commit`` in one transaction.

        Raises:
            VersionMismatchError: If the task is not at the expected version.
            ReplyExistsError: If the reply's actor and key are taken.
            EventKnownError: If the inbox entry's or the version's event is known.
        """

    async def task(self, task_id: str) -> Task | None:
        """Return a task, a deleted one too; None if there never was one."""

    async def tasks(self, query: TaskQuery) -> Sequence[Task]:
        """Return a page of tasks. Without a due date comes last in ascending order; ids break ties."""

    async def task_version(self, task_id: str, version: int) -> TaskVersion | None:
        """Return one version of a task."""

    async def task_versions(self, task_id: str, *, before: int | None, limit: int) -> Sequence[TaskVersion]:
        """Return versions below ``before`` (None: all), the newest first."""

    async def highest_version(self, task_id: str) -> int:
        """Return the highest version of a task that we have or have heard of; 0 if none."""

    async def knows_event(self, event_id: str) -> bool:
        """Tell whether a task event has had its effect: it is ours, or was consumed."""

    async def reply(self, actor: str, key: str) -> StoredReply | None:
        """Return the reply stored under an idempotency key."""

    async def conflict(self, conflict_id: str) -> Conflict | None:
        """Return a conflict."""

    async def member(self, member_id: str) -> Member | None:
        """Return a member."""

    async def members(self, *, after: str, limit: int) -> Sequence[Member]:
        """Return members with ids above ``after`` ("" for the first), by id."""

    async def service_request(self, request_id: str) -> ServiceRequest | None:
        """Return a service request."""

    async def service_requests(self, member_id: str, *, after: str, limit: int) -> Sequence[ServiceRequest]:
        """Return a member's service requests with ids above ``after``, by id."""

    async def records(self, subject_type: str, subject_id: str, *, limit: int) -> Sequence[SubjectRecord]:
        """Return notes on, and contacts with, a subject, the newest first."""

    async def user(self, user_id: str) -> User | None:
        """Return a member of staff."""

    async def teams(self) -> Sequence[Team]:
        """Return all teams, by id."""

    async def activity(
        self, team_id: str, *, types: Collection[ActivityType], before: str | None, limit: int
    ) -> Sequence[Activity]:
        """Return a team's feed below entry ``before`` (None: from the top), the newest first; of ``types``, or all."""

    async def notifications(
        self, user_id: str, *, unread: bool, before: str | None, limit: int
    ) -> Sequence[TaskAssigned]:
        """Return a user's notifications below ``before``, by its id, the newest first, with ``read`` set."""

    async def unread_count(self, user_id: str) -> int:
        """Return how many notifications a user has not read."""

    async def mark_read(
        self, user_id: str, notification_ids: Collection[str] | None, *, event_id: str, at: str
    ) -> NotificationsRead:
        """Mark a user's notifications read (None: all), and put the event that tells the user's tabs in the outbox.

        Ids of other users and unknown ones change nothing.
        """

    def outbox_batch(self, limit: int) -> AbstractAsyncContextManager[OutboxBatch]:
        """Open a batch of at most ``limit`` waiting events, the oldest first."""

    async def backlog(self) -> Backlog:
        """Return how much waits in the outbox."""

    async def snapshot(self) -> tuple[int, Sequence[Relation]]:
        """See :class:`channels.relations.RelationSource`."""

    def changes(self, after_revision: int) -> AsyncIterator[Sequence[RelationChange]]:
        """See :class:`channels.relations.RelationSource`.

        Raises:
            RelationsTrimmedError: If they are no longer kept.
        """

    async def switches(self) -> Sequence[FeatureSwitch]:
        """Return the feature switches, by name."""

    async def purge(self, before: str, *, relation_changes_kept: int) -> None:
        """Forget replies and inbox entries older than ``before``, and all but the newest changes of relations."""

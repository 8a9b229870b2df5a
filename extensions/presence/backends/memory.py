"""Presence and locks of one node, in this process."""

from collections.abc import Mapping, Sequence

from channels.locks.model import Attempt, FieldLock, Holder, LockChange, LockTimes
from channels.locks.table import LockTable
from channels.presence.events import PresenceChange, Snapshot
from channels.presence.model import PresenceTimes, Touch, to_ms
from channels.presence.outbox import Outbox
from channels.presence.store import Flushed
from channels.presence.table import PresenceTable


class MemoryPresenceStore:
    """A :class:`channels.presence.store.PresenceStore` for a single node.

    Args:
        times: Leases, window and bounds.
    """

    def __init__(self, times: PresenceTimes | None = None) -> None:
        self._table = PresenceTable(times)
        self._outbox: Outbox[PresenceChange] = Outbox()

    async def touch(self, touch: Touch, now_s: float) -> float | None:
        """Take a sign of life."""
        self._table.touch(touch, to_ms(now_s))
        return self._due_in_s(now_s)

    async def leave(self, task_id: str, session_id: str, now_s: float) -> float | None:
        """End a session's presence on a task."""
        self._table.leave(task_id, session_id, to_ms(now_s))
        return self._due_in_s(now_s)

    async def leave_all(self, session_id: str, now_s: float) -> float | None:
        """End a session's presence everywhere."""
        self._table.leave_all(session_id, to_ms(now_s))
        return self._due_in_s(now_s)

    async def lose(self, session_id: str, now_s: float, gone_for_s: float = 0.0) -> float | None:
        """Begin a session's grace time."""
        self._table.lose(session_id, to_ms(now_s), to_ms(gone_for_s))
        return self._due_in_s(now_s)

    async def resume(self, session_id: str, now_s: float) -> int:
        """End a session's grace time."""
        return self._table.resume(session_id, to_ms(now_s))

    async def flush(self, now_s: float, limit: int = 500) -> Flushed:
        """Tell what is due."""
        events = self._table.flush(to_ms(now_s), limit)
        self._outbox.add(events, to_ms(now_s))
        return Flushed(events, self._due_in_s(now_s))

    async def settle(self, event_ids: Sequence[str]) -> None:
        """Note that these events were published."""
        self._outbox.settle(event_ids)

    async def unsettled(self, now_s: float, older_than_s: float) -> Sequence[PresenceChange]:
        """Return events that were not published for some time."""
        return self._outbox.older_than(to_ms(now_s - older_than_s))

    async def snapshot(self, task_id: str, now_s: float) -> Snapshot:
        """Return what was told of a task so far."""
        return self._table.snapshot(task_id, to_ms(now_s))

    async def take_version(self, task_id: str, now_s: float) -> int:
        """Take the next version of the task's presence."""
        return self._table.take_version(task_id, to_ms(now_s))

    def _due_in_s(self, now_s: float) -> float | None:
        due_ms = self._table.next_due_ms
        return None if due_ms is None else max(0, due_ms - to_ms(now_s)) / 1000


class MemoryLockStore:
    """A :class:`channels.locks.store.LockStore` for a single node.

    Args:
        times: Leases and bounds.
    """

    def __init__(self, times: LockTimes | None = None) -> None:
        self._table = LockTable(times)
        self._outbox: Outbox[LockChange] = Outbox()

    async def acquire(self, task_id: str, field_name: str, holder: Holder, now_s: float) -> Attempt:
        """Ask for a lock, or renew it."""
        return self._attempted(self._table.acquire(task_id, field_name, holder, to_ms(now_s)), now_s)

    async def take_over(self, task_id: str, field_name: str, holder: Holder, now_s: float) -> Attempt:
        """Take a lock from whoever holds it."""
        return self._attempted(self._table.take_over(task_id, field_name, holder, to_ms(now_s)), now_s)

    async def release(self, task_id: str, field_name: str, session_id: str, now_s: float) -> Sequence[LockChange]:
        """End the session's lock of a field."""
        return self._changed(self._table.release(task_id, field_name, session_id, to_ms(now_s)), now_s)

    async def release_task(self, task_id: str, session_id: str, now_s: float) -> Sequence[LockChange]:
        """End all locks of the session on a task."""
        return self._changed(self._table.release_task(task_id, session_id, to_ms(now_s)), now_s)

    async def release_session(self, session_id: str, now_s: float) -> Sequence[LockChange]:
        """End all locks of the session."""
        return self._changed(self._table.release_session(session_id, to_ms(now_s)), now_s)

    async def renew(self, task_id: str, session_id: str, now_s: float) -> int:
        """Renew the session's locks on a task."""
        return self._table.renew(task_id, session_id, to_ms(now_s))

    async def lose(self, session_id: str, now_s: float, gone_for_s: float = 0.0) -> None:
        """Give the session's locks the grace time."""
        self._table.lose(session_id, to_ms(now_s), to_ms(gone_for_s))

    async def resume(self, session_id: str, now_s: float) -> int:
        """Renew the locks of a session that came back in time."""
        return self._table.resume(session_id, to_ms(now_s))

    async def expire(self, now_s: float, limit: int = 500) -> tuple[Sequence[LockChange], float | None]:
        """End what is over."""
        changes = self._changed(self._table.expire(to_ms(now_s), limit), now_s)
        due_ms = self._table.next_due_ms
        return changes, None if due_ms is None else max(0, due_ms - to_ms(now_s)) / 1000

    async def of_task(self, task_id: str, now_s: float) -> Mapping[str, FieldLock]:
        """Return the last lock of each field."""
        return self._table.of_task(task_id)

    async def settle(self, event_ids: Sequence[str]) -> None:
        """Note that these changes were told."""
        self._outbox.settle(event_ids)

    async def unsettled(self, now_s: float, older_than_s: float) -> Sequence[LockChange]:
        """Return changes that were not told for some time."""
        return self._outbox.older_than(to_ms(now_s - older_than_s))

    def _changed(self, changes: Sequence[LockChange], now_s: float) -> Sequence[LockChange]:
        self._outbox.add(changes, to_ms(now_s))
        return changes

    def _attempted(self, attempt: Attempt, now_s: float) -> Attempt:
        self._changed(attempt.changes, now_s)
        return attempt

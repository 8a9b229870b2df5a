"""Field locks of all tasks, as state plus time. No clock, no I/O."""

from collections.abc import Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from channels.locks.model import Attempt, FieldLock, Holder, LockChange, LockEnd, LockLimitReached, LockTimes
from channels.presence.deadlines import Deadlines


class TaskLocks(Struct):
    """The locks of one task, ended ones included, and the last token given."""

    last_token: int
    quiet_since_ms: int
    locks: dict[str, FieldLock] = field(default_factory=dict)

    def held(self, now_ms: int) -> Iterator[FieldLock]:
        """Yield the locks that somebody holds."""
        return (lock for lock in self.locks.values() if lock.held_by(now_ms) is not None)


class LockTable:
    """The pure core of field locks. Every method takes the time, in integer epoch milliseconds.

    A lock belongs to one session. Another session of the same person gets it for the asking (with a new token, so that
    the first session's writes are refused); anybody else is refused while the lease runs, unless they take it over.

    Args:
        times: Leases and bounds.
    """

    def __init__(self, times: LockTimes | None = None) -> None:
        self.times = times or LockTimes()
        self._tasks: dict[str, TaskLocks] = {}
        self._held_by: dict[str, set[tuple[str, str]]] = {}
        self._due: Deadlines[str] = Deadlines()

    @property
    def next_due_ms(self) -> int | None:
        """When :meth:`expire` has work next."""
        return self._due.next_ms()

    def acquire(self, task_id: str, field_name: str, holder: Holder, now_ms: int) -> Attempt:
        """Ask for a field's lock. Asking again renews it and keeps the token.

        Raises:
            LockLimitReached: If the session holds too many locks.
        """
        lock = self._lock(task_id, field_name)
        current = None if lock is None else lock.held_by(now_ms)
        if lock is not None and current is not None:
            if current.session_id == holder.session_id:
                return Attempt(self._renew(task_id, lock, now_ms), granted=True)
            if current.user_id != holder.user_id:
                return Attempt(lock, granted=False)
        return self._grant(task_id, field_name, holder, now_ms)

    def take_over(self, task_id: str, field_name: str, holder: Holder, now_ms: int) -> Attempt:
        """Take a field's lock from whoever holds it. The caller has checked the reason and sees to the audit.

        Raises:
            LockLimitReached: If the session holds too many locks.
        """
        lock = self._lock(task_id, field_name)
        current = None if lock is None else lock.held_by(now_ms)
        if lock is not None and current is not None and current.session_id == holder.session_id:
            return Attempt(self._renew(task_id, lock, now_ms), granted=True)
        return self._grant(task_id, field_name, holder, now_ms)

    def release(self, task_id: str, field_name: str, session_id: str, now_ms: int) -> list[LockChange]:
        """End the session's lock of a field; somebody else's is left alone."""
        lock = self._lock(task_id, field_name)
        holder = None if lock is None else lock.held_by(now_ms)
        if lock is None or holder is None or holder.session_id != session_id:
            return []
        return [self._end(task_id, lock, LockEnd.RELEASED, now_ms)]

    def release_task(self, task_id: str, session_id: str, now_ms: int) -> list[LockChange]:
        """End all locks of the session on a task, because it left."""
        fields = sorted(name for task, name in self._held_by.get(session_id, ()) if task == task_id)
        return [change for name in fields for change in self.release(task_id, name, session_id, now_ms)]

    def release_session(self, session_id: str, now_ms: int) -> list[LockChange]:
        """End all locks of the session, because it ended."""
        held = sorted(self._held_by.get(session_id, ()))
        return [change for task_id, name in held for change in self.release(task_id, name, session_id, now_ms)]

    def renew(self, task_id: str, session_id: str, now_ms: int) -> int:
        """Renew the session's locks on a task; return how many. An ended lock stays ended: it must be asked for."""
        return sum(task == task_id for task, _ in self._renewed(session_id, now_ms, task_id))

    def lose(self, session_id: str, now_ms: int, gone_for_ms: int = 0) -> None:
        """Give the session's locks the grace time, neither less nor more, from the first loss of its connection."""
        expires_at_ms = now_ms - gone_for_ms + self.times.grace_ms
        for task_id, lock in self._held(session_id, now_ms):
            if not lock.lost:
                self._put(task_id, replace(lock, lost=True, expires_at_ms=expires_at_ms))

    def resume(self, session_id: str, now_ms: int) -> int:
        """Renew the locks of a session that came back in time; return how many."""
        return len(self._renewed(session_id, now_ms))

    def expire(self, now_ms: int, limit: int | None = None) -> list[LockChange]:
        """End the locks whose lease is over, on at most ``limit`` tasks."""
        changes = []
        for task_id, _ in self._due.pop_due(now_ms, limit):
            task = self._tasks[task_id]
            over = [lock for lock in task.locks.values() if lock.holder is not None and lock.expires_at_ms <= now_ms]
            changes += [self._end(task_id, lock, LockEnd.EXPIRED, now_ms) for lock in over]
            if not any(task.held(now_ms)) and task.quiet_since_ms + self.times.retention_ms <= now_ms:
                del self._tasks[task_id]
                self._due.set(task_id, None)
            else:
                self._schedule(task_id, task)
        return changes

    def of_task(self, task_id: str) -> Mapping[str, FieldLock]:
        """Return the last lock of each field that ever had one, ended ones included; a copy."""
        task = self._tasks.get(task_id)
        return {} if task is None else dict(task.locks)

    def _grant(self, task_id: str, field_name: str, holder: Holder, now_ms: int) -> Attempt:
        mine = self._held_by.get(holder.session_id, set())
        if len(mine) >= self.times.locks_per_session and (task_id, field_name) not in mine:
            raise LockLimitReached
        task = self._tasks.setdefault(task_id, TaskLocks(last_token=now_ms, quiet_since_ms=now_ms))
        changes, replaced = [], None
        before = task.locks.get(field_name)
        if before is not None and before.holder is not None:
            replaced = before.held_by(now_ms)
            changes.append(
                self._end(task_id, before, LockEnd.EXPIRED if replaced is None else LockEnd.TAKEN_OVER, now_ms)
            )
        task.last_token += 1
        task.quiet_since_ms = now_ms
        lock = FieldLock(field_name, task.last_token, holder, now_ms + self.times.lease_ms)
        self._held_by.setdefault(holder.session_id, set()).add((task_id, field_name))
        self._put(task_id, lock)
        changes.append(_change(task_id, lock, holder, None, now_ms))
        return Attempt(lock, granted=True, replaced=replaced, changes=tuple(changes))

    def _end(self, task_id: str, lock: FieldLock, why: LockEnd, now_ms: int) -> LockChange:
        holder = lock.holder
        if holder is None:
            raise ValueError("a lock ends once")
        held = self._held_by[holder.session_id]
        held.discard((task_id, lock.field_name))
        if not held:
            del self._held_by[holder.session_id]
        self._tasks[task_id].quiet_since_ms = now_ms
        self._put(task_id, replace(lock, holder=None))
        return _change(task_id, lock, holder, why, now_ms)

    def _renew(self, task_id: str, lock: FieldLock, now_ms: int) -> FieldLock:
        renewed = replace(lock, lost=False, expires_at_ms=now_ms + self.times.lease_ms)
        self._put(task_id, renewed)
        return renewed

    def _renewed(self, session_id: str, now_ms: int, only: str | None = None) -> list[tuple[str, FieldLock]]:
        held = [(task_id, lock) for task_id, lock in self._held(session_id, now_ms) if only in {None, task_id}]
        return [(task_id, self._renew(task_id, lock, now_ms)) for task_id, lock in held]

    def _held(self, session_id: str, now_ms: int) -> list[tuple[str, FieldLock]]:
        locks = [(task, self._tasks[task].locks[name]) for task, name in sorted(self._held_by.get(session_id, ()))]
        return [(task_id, lock) for task_id, lock in locks if lock.held_by(now_ms) is not None]

    def _lock(self, task_id: str, field_name: str) -> FieldLock | None:
        task = self._tasks.get(task_id)
        return None if task is None else task.locks.get(field_name)

    def _put(self, task_id: str, lock: FieldLock) -> None:
        task = self._tasks[task_id]
        task.locks[lock.field_name] = lock
        self._schedule(task_id, task)

    def _schedule(self, task_id: str, task: TaskLocks) -> None:
        ends = [lock.expires_at_ms for lock in task.locks.values() if lock.holder is not None]
        self._due.set(task_id, min(ends, default=task.quiet_since_ms + self.times.retention_ms))


def _change(task_id: str, lock: FieldLock, holder: Holder, ended: LockEnd | None, now_ms: int) -> LockChange:
    return LockChange(task_id, lock.field_name, lock.token, holder.user_id, holder.user_name, ended, now_ms)

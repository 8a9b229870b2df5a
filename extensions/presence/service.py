"""What each message about presence and locks does. Knows stores and people, nothing of Bayeux sessions."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import asdict

from bayeux_server.errors import RemoteError
from channels.locks.model import Attempt, FieldLock, Holder, LockLimitReached, LockTimes
from channels.locks.store import LockStore
from channels.presence import messages
from channels.presence.cursors import CursorGate, Pointed
from channels.presence.events import CursorMoved, LockInfo, Snapshot, iso
from channels.presence.model import (
    CursorPosition,
    Person,
    PresenceLimitReached,
    PresenceState,
    Touch,
    to_ms,
)
from channels.presence.store import PresenceStore
from extensions.presence.teller import Teller


class Visitor(NamedTuple):
    """A session on its way to a task: a name for it that may be stored, and the person behind it."""

    session_id: str
    person: Person


class TakeOver(NamedTuple):
    """A broken glass, for the audit log. The reason may be PHI: it goes nowhere else."""

    task_id: str
    field_name: str
    by: Person
    holder: Holder | None
    reason: str
    at_s: float


#: Records a take-over before it happens. If it raises, nothing is taken over.
Audit = Callable[[TakeOver], Awaitable[None]]
#: Says whether a person may edit a task. Locks are for editors: a reader must not be able to keep them out.
MayEdit = Callable[[Person, str], Awaitable[bool]]
#: Given seconds from now: see to it that :meth:`PresenceService.tick` is called then, at the latest.
Wake = Callable[[float], None]


class PresenceService:
    """Presence and locks as their users see them.

    Args:
        presence: Where presence is kept.
        locks: Where locks are kept.
        teller: The road to subscribers.
        wall: Returns epoch seconds.
        wake: Asks for a tick.
        lock_times: What holders are told of their lease.
        locks_given: Whether there are locks at all.

    Attributes:
        audit: Records take-overs; None refuses them.
        may_edit: Asked before a lock is given; None gives it to all who see the task.
        on_snapshot: Told of every snapshot, such as to count.
        on_refused: Called when a lock is refused because somebody holds it.
    """

    def __init__(
        self,
        presence: PresenceStore,
        locks: LockStore,
        teller: Teller,
        *,
        wall: Callable[[], float],
        wake: Wake,
        lock_times: LockTimes | None = None,
        locks_given: bool = True,
    ) -> None:
        self._presence = presence
        self._locks = locks
        self._teller = teller
        self._wall = wall
        self._wake = wake
        self._locks_given = locks_given
        self.audit: Audit | None = None
        self.may_edit: MayEdit | None = None
        self.on_snapshot: list[Callable[[Snapshot], None]] = []
        self.on_refused: list[Callable[[], None]] = []
        self._lock_times = lock_times or LockTimes()
        self._cursors = CursorGate()
        self._cursors_told = 0
        #: Tasks on which a session was given a lock here, so that all other signs of life renew none.
        self._locking: dict[str, set[str]] = {}
        self._answers: Mapping[type, Callable[[Visitor, Any], Awaitable[object]]] = {
            messages.Join: self._join,
            messages.Leave: self._leave,
            messages.Heartbeat: self._heartbeat,
            messages.ChangeState: self._change_state,
            messages.Type: self._type,
            messages.Point: self._point,
            messages.AskSnapshot: self._ask_snapshot,
            messages.AcquireLock: self._acquire,
            messages.ReleaseLock: self._release,
            messages.RenewLocks: self._heartbeat,
            messages.TakeOverLock: self._take_over,
        }

    async def receive(self, visitor: Visitor, message: messages.PresenceMessage) -> object:
        """Do what a message asks; return the answer, None where there is nothing to say.

        Raises:
            RemoteError: 403 for another user's ``user_id`` or a take-over where none is audited, 429 at a bound.
        """
        if message.user_id not in {None, visitor.person.user_id}:
            raise RemoteError(403, ["user_id"], "not_your_user_id")
        try:
            return await self._answers[type(message)](visitor, message)
        except (PresenceLimitReached, LockLimitReached):
            raise RemoteError(429, [], "too_many_tasks_or_locks") from None

    async def leave_task(self, session_id: str, task_id: str) -> None:
        """End a session's presence and its locks on one task."""
        self._cursors.forget(session_id, task_id)
        self._locking.get(session_id, set()).discard(task_id)
        self._expect(await self._presence.leave(task_id, session_id, self._wall()))
        await self._teller.tell_locks(await self._locks.release_task(task_id, session_id, self._wall()))

    async def end(self, session_id: str) -> None:
        """End a session's presence and its locks on all tasks."""
        self._cursors.forget(session_id)
        self._locking.pop(session_id, None)
        self._expect(await self._presence.leave_all(session_id, self._wall()))
        await self._teller.tell_locks(await self._locks.release_session(session_id, self._wall()))

    async def lose(self, session_id: str, gone_for_s: float = 0.0) -> None:
        """Begin the grace time of a session whose connection was lost so long ago. Nobody hears of it yet."""
        self._expect(await self._presence.lose(session_id, self._wall(), gone_for_s))
        await self._locks.lose(session_id, self._wall(), gone_for_s)

    async def resume(self, visitor: Visitor, states: Mapping[str, PresenceState]) -> None:
        """End the grace time of a session that came back. In time, nobody hears of it at all.

        Too late, it was told as gone: it joins again, by the ``states`` it still has. Its locks stay lost.
        """
        alive = await self._presence.resume(visitor.session_id, self._wall())
        await self._locks.resume(visitor.session_id, self._wall())
        if alive < len(states):
            for task_id, state in states.items():
                await self._touch(visitor, task_id, state)

    async def snapshot(self, task_id: str) -> Snapshot:
        """Return who is on a task, with the locked fields.

        Presence is read first: a lock that changes in between comes again as an event with a later version.
        """
        now_s = self._wall()
        snapshot = await self._presence.snapshot(task_id, now_s)
        for listener in self.on_snapshot:
            listener(snapshot)
        return _with_locks(snapshot, await self._locks.of_task(task_id, now_s), to_ms(now_s))

    async def tick(self) -> float | None:
        """Tell all that is due; return seconds until the next tick is, None if nothing waits."""
        for pointed in self._cursors.take_due(to_ms(self._wall())):
            await self._tell_cursor(pointed)
        due_in_s = await self._teller.flush()
        cursor_ms = self._cursors.next_due_ms
        if cursor_ms is None:
            return due_in_s
        cursor_in_s = max(0.0, cursor_ms / 1000 - self._wall())
        return cursor_in_s if due_in_s is None else min(due_in_s, cursor_in_s)

    # What each message does

    async def _join(self, visitor: Visitor, message: messages.Join) -> None:
        await self._touch(visitor, message.task_id, message.state)

    async def _leave(self, visitor: Visitor, message: messages.Leave) -> None:
        await self.leave_task(visitor.session_id, message.task_id)

    async def _heartbeat(self, visitor: Visitor, message: messages.Heartbeat | messages.RenewLocks) -> None:
        await self._touch(visitor, message.task_id)

    async def _change_state(self, visitor: Visitor, message: messages.ChangeState) -> None:
        await self._touch(visitor, message.task_id, message.new_state)

    async def _type(self, visitor: Visitor, message: messages.Type) -> None:
        await self._touch(visitor, message.task_id, PresenceState.TYPING, message.field_name)

    async def _point(self, visitor: Visitor, message: messages.Point) -> None:
        position = CursorPosition(message.field_name, message.field_index)
        pointed = Pointed(message.task_id, visitor.session_id, visitor.person, position)
        now_ms = to_ms(self._wall())
        if self._cursors.offer(pointed, now_ms):
            await self._tell_cursor(pointed)
        elif (due_ms := self._cursors.next_due_ms) is not None:
            self._wake(max(0, due_ms - now_ms) / 1000)

    async def _ask_snapshot(self, _visitor: Visitor, message: messages.AskSnapshot) -> Snapshot:
        return await self.snapshot(message.task_id)

    async def _acquire(self, visitor: Visitor, message: messages.AcquireLock) -> object:
        await self._editor(visitor, message.task_id)
        await self._begin_editing(visitor, message.task_id)
        attempt = await self._locks.acquire(message.task_id, message.field_name, _holder(visitor), self._wall())
        return await self._attempted(visitor, message.task_id, attempt)

    async def _release(self, visitor: Visitor, message: messages.ReleaseLock) -> None:
        # No sign of life: who gives up a lock after leaving the task must not come back by it.
        changes = await self._locks.release(message.task_id, message.field_name, visitor.session_id, self._wall())
        await self._teller.tell_locks(changes)

    async def _take_over(self, visitor: Visitor, message: messages.TakeOverLock) -> object:
        if self.audit is None:
            raise RemoteError(403, [message.field_name], "take_over_not_audited")
        await self._editor(visitor, message.task_id)
        now_s = self._wall()
        lock = (await self._locks.of_task(message.task_id, now_s)).get(message.field_name)
        holder = None if lock is None else lock.held_by(to_ms(now_s))
        await self.audit(TakeOver(message.task_id, message.field_name, visitor.person, holder, message.reason, now_s))
        await self._begin_editing(visitor, message.task_id)
        attempt = await self._locks.take_over(message.task_id, message.field_name, _holder(visitor), self._wall())
        return await self._attempted(visitor, message.task_id, attempt)

    async def _attempted(self, visitor: Visitor, task_id: str, attempt: Attempt) -> dict[str, object]:
        if attempt.granted:
            self._locking.setdefault(visitor.session_id, set()).add(task_id)
            self._wake(self._lock_times.lease_ms / 1000)
        else:
            for listener in self.on_refused:
                listener()
        await self._teller.tell_locks(attempt.changes)
        return self._lease(task_id, attempt.lock, granted=attempt.granted)

    async def _editor(self, visitor: Visitor, task_id: str) -> None:
        if not self._locks_given:
            raise RemoteError(403, [task_id], "locks_are_off")
        if self.may_edit is not None and not await self.may_edit(visitor.person, task_id):
            raise RemoteError(403, [task_id], "lock_denied")

    async def _begin_editing(self, visitor: Visitor, task_id: str) -> None:
        """Show who locks a field as editing: a lock's holder is always among those present. Typing goes on."""
        touch = Touch(task_id, visitor.session_id, visitor.person, PresenceState.EDITING, at_least=True)
        await self._sign_of_life(touch)

    async def _touch(
        self,
        visitor: Visitor,
        task_id: str,
        state: PresenceState | None = None,
        field_name: str | None = None,
        cursor: CursorPosition | None = None,
    ) -> None:
        await self._sign_of_life(Touch(task_id, visitor.session_id, visitor.person, state, field_name, cursor))

    async def _sign_of_life(self, touch: Touch) -> None:
        self._expect(await self._presence.touch(touch, self._wall()))
        if touch.task_id in self._locking.get(touch.session_id, ()):
            await self._locks.renew(touch.task_id, touch.session_id, self._wall())

    async def _tell_cursor(self, pointed: Pointed) -> None:
        visitor = Visitor(pointed.session_id, pointed.person)
        await self._touch(visitor, pointed.task_id, cursor=pointed.position)
        self._cursors_told += 1
        await self._teller.tell(
            CursorMoved(
                **asdict(pointed.position),
                task_id=pointed.task_id,
                user_id=pointed.person.user_id,
                timestamp=iso(to_ms(self._wall())),
                event_id=f"cursor-{pointed.session_id}-{self._cursors_told}",
            )
        )

    def _lease(self, task_id: str, lock: FieldLock, *, granted: bool) -> dict[str, object]:
        answer: dict[str, object] = {
            "type": "lock.granted" if granted else "lock.refused",
            "task_id": task_id,
            "field_name": lock.field_name,
            "expires_at": iso(lock.expires_at_ms),
        }
        if granted:
            answer |= {"token": lock.token, "renew_every_ms": self._lock_times.renew_every_ms}
        elif lock.holder is not None:
            answer["holder"] = {"user_id": lock.holder.user_id, "user_name": lock.holder.user_name}
        return answer

    def _expect(self, due_in_s: float | None) -> None:
        if due_in_s is not None:
            self._wake(due_in_s)


def _holder(visitor: Visitor) -> Holder:
    return Holder(visitor.session_id, visitor.person.user_id, visitor.person.user_name)


def _with_locks(snapshot: Snapshot, locks: Mapping[str, FieldLock], now_ms: int) -> Snapshot:
    found, fields_of = [], dict[str, list[str]]()
    for name, lock in sorted(locks.items()):
        holder = lock.held_by(now_ms)
        if holder is not None:
            expires_at = iso(lock.expires_at_ms)
            found.append(LockInfo(name, holder.user_id, holder.user_name, lock.token, expires_at))
            fields_of.setdefault(holder.user_id, []).append(name)
    users = snapshot.users
    if users is not None:
        users = tuple(
            msgspec.structs.replace(user, locked_fields=tuple(fields_of.get(user.user_id, ()))) for user in users
        )
    return msgspec.structs.replace(snapshot, locks=tuple(found), users=users)

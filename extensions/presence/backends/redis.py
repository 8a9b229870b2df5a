"""Presence and locks of several nodes, in Redis 7.0 or later.

Each operation is one Lua script, so it is atomic: finding what expired, checking it again, deleting it and leaving the
event to be published cannot be torn apart by a crash or by another node. Every entry expires by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec.structs import asdict
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from channels.locks.model import Attempt, FieldLock, Holder, LockChange, LockEnd, LockLimitReached, LockTimes
from channels.presence.events import PresenceChange, Snapshot
from channels.presence.model import PresenceLimitReached, PresenceTimes, Touch, to_ms
from channels.presence.outbox import OUTBOX_LIMIT
from channels.presence.store import Flushed
from extensions.presence.backends.decoding import decode_event
from extensions.presence.backends.scripts import Script

_PRESENCE_SCRIPT = ("presence_rooms.lua", "presence_signs.lua", "presence_telling.lua")


class RedisPresenceStore:
    """A :class:`channels.presence.store.PresenceStore` shared by nodes.

    Args:
        redis: A client that returns bytes. Not closed here.
        times: Leases, window and bounds; the same on every node.
        prefix: First part of the keys, with a hash tag.
        own_clock: Whether Redis tells the time; False takes the caller's, for tests with a manual clock.
    """

    def __init__(
        self,
        redis: "Redis",
        times: PresenceTimes | None = None,
        *,
        prefix: str = "{careapp}:presence",
        own_clock: bool = True,
    ) -> None:
        self._run = Script(redis, _PRESENCE_SCRIPT, prefix, asdict(times or PresenceTimes()), own_clock=own_clock)

    async def touch(self, touch: Touch, now_s: float) -> float | None:
        """Take a sign of life."""
        try:
            return _span(await self._run("touch", now_s, _builtins(touch)))
        except ResponseError as error:
            if str(error).startswith("LIMIT"):
                raise PresenceLimitReached from None
            raise

    async def leave(self, task_id: str, session_id: str, now_s: float) -> float | None:
        """End a session's presence on a task."""
        return _span(await self._run("leave", now_s, {"task_id": task_id, "session_id": session_id}))

    async def leave_all(self, session_id: str, now_s: float) -> float | None:
        """End a session's presence everywhere."""
        return _span(await self._run("leave_all", now_s, {"session_id": session_id}))

    async def lose(self, session_id: str, now_s: float, gone_for_s: float = 0.0) -> float | None:
        """Begin a session's grace time."""
        return _span(await self._run("lose", now_s, {"session_id": session_id, "gone_for_ms": to_ms(gone_for_s)}))

    async def resume(self, session_id: str, now_s: float) -> int:
        """End a session's grace time."""
        return int(await self._run("resume", now_s, {"session_id": session_id}))

    async def flush(self, now_s: float, limit: int = 500) -> Flushed:
        """Tell what is due."""
        due_in, events = await self._run("flush", now_s, {"limit": limit, "outbox_limit": OUTBOX_LIMIT})
        return Flushed([decode_event(each) for each in events], _span(due_in))

    async def settle(self, event_ids: Sequence[str]) -> None:
        """Note that these events were published."""
        await self._run.settle(tuple(event_ids))

    async def unsettled(self, now_s: float, older_than_s: float) -> Sequence[PresenceChange]:
        """Return events that were not published for some time."""
        found = await self._run("unsettled", now_s, {"older_than_ms": to_ms(older_than_s)})
        return sorted(map(decode_event, found), key=lambda event: (event.task_id, event.version))

    async def snapshot(self, task_id: str, now_s: float) -> Snapshot:
        """Return what was told of a task so far."""
        found = decode_event(await self._run("snapshot", now_s, {"task_id": task_id}))
        return cast("Snapshot", found)

    async def take_version(self, task_id: str, now_s: float) -> int:
        """Take the next version of the task's presence."""
        return int(await self._run("take_version", now_s, {"task_id": task_id}))


class _StoredLock(msgspec.Struct):
    field_name: str
    token: int
    expires_at: int
    holder: Holder | None = None
    lost: bool = False

    def lock(self, behind_ms: int) -> FieldLock:
        return FieldLock(self.field_name, self.token, self.holder, self.expires_at + behind_ms, self.lost)


class _StoredAttempt(msgspec.Struct):
    lock: _StoredLock
    granted: bool
    now: int
    replaced: Holder | None = None
    changes: tuple["_StoredChange", ...] = ()


class _StoredChange(msgspec.Struct):
    task_id: str
    field_name: str
    token: int
    user_id: str
    user_name: str
    at_ms: int
    ended: LockEnd | None = None

    def change(self) -> LockChange:
        return LockChange(**asdict(self))


class RedisLockStore:
    """A :class:`channels.locks.store.LockStore` shared by nodes.

    Args:
        redis: A client that returns bytes. Not closed here.
        times: Leases and bounds; the same on every node.
        prefix: First part of the keys, with a hash tag.
        own_clock: Whether Redis tells the time; False takes the caller's, for tests with a manual clock.
    """

    def __init__(
        self,
        redis: "Redis",
        times: LockTimes | None = None,
        *,
        prefix: str = "{careapp}:locks",
        own_clock: bool = True,
    ) -> None:
        conf = {**asdict(times or LockTimes()), "outbox_limit": OUTBOX_LIMIT}
        self._run = Script(redis, ("locks.lua",), prefix, conf, own_clock=own_clock)

    async def acquire(self, task_id: str, field_name: str, holder: Holder, now_s: float) -> Attempt:
        """Ask for a lock, or renew it."""
        return await self._attempt("acquire", task_id, field_name, holder, now_s)

    async def take_over(self, task_id: str, field_name: str, holder: Holder, now_s: float) -> Attempt:
        """Take a lock from whoever holds it."""
        return await self._attempt("take_over", task_id, field_name, holder, now_s)

    async def release(self, task_id: str, field_name: str, session_id: str, now_s: float) -> Sequence[LockChange]:
        """End the session's lock of a field."""
        arguments = {"task_id": task_id, "field_name": field_name, "session_id": session_id}
        return _changes(await self._run("release", now_s, arguments))

    async def release_task(self, task_id: str, session_id: str, now_s: float) -> Sequence[LockChange]:
        """End all locks of the session on a task."""
        return _changes(await self._run("release_held", now_s, {"task_id": task_id, "session_id": session_id}))

    async def release_session(self, session_id: str, now_s: float) -> Sequence[LockChange]:
        """End all locks of the session."""
        return _changes(await self._run("release_held", now_s, {"session_id": session_id}))

    async def renew(self, task_id: str, session_id: str, now_s: float) -> int:
        """Renew the session's locks on a task."""
        return int(await self._run("renew", now_s, {"task_id": task_id, "session_id": session_id}))

    async def lose(self, session_id: str, now_s: float, gone_for_s: float = 0.0) -> None:
        """Give the session's locks the grace time."""
        await self._run("lose", now_s, {"session_id": session_id, "gone_for_ms": to_ms(gone_for_s)})

    async def resume(self, session_id: str, now_s: float) -> int:
        """Renew the locks of a session that came back in time."""
        return int(await self._run("renew", now_s, {"session_id": session_id}))

    async def expire(self, now_s: float, limit: int = 500) -> tuple[Sequence[LockChange], float | None]:
        """End what is over."""
        due_in, changes = await self._run("expire", now_s, {"limit": limit})
        return _changes(changes), _span(due_in)

    async def of_task(self, task_id: str, now_s: float) -> Mapping[str, FieldLock]:
        """Return the last lock of each field."""
        found_ms, found = await self._run("of_task", now_s, {"task_id": task_id})
        behind_ms = to_ms(now_s) - int(found_ms)
        locks = (msgspec.json.decode(each, type=_StoredLock).lock(behind_ms) for each in found)
        return {lock.field_name: lock for lock in locks}

    async def settle(self, event_ids: Sequence[str]) -> None:
        """Note that these changes were told."""
        await self._run.settle(tuple(event_ids))

    async def unsettled(self, now_s: float, older_than_s: float) -> Sequence[LockChange]:
        """Return changes that were not told for some time."""
        found = await self._run("unsettled", now_s, {"older_than_ms": to_ms(older_than_s)})
        return sorted(_changes(found), key=lambda change: (change.task_id, change.token, change.ended is not None))

    async def _attempt(self, operation: str, task_id: str, field_name: str, holder: Holder, now_s: float) -> Attempt:
        arguments: dict[str, object] = {"task_id": task_id, "field_name": field_name, "holder": asdict(holder)}
        try:
            reply = await self._run(operation, now_s, arguments)
        except ResponseError as error:
            if str(error).startswith("LIMIT"):
                raise LockLimitReached from None
            raise
        stored = msgspec.json.decode(reply, type=_StoredAttempt)
        changes = tuple(each.change() for each in stored.changes)
        behind_ms = to_ms(now_s) - stored.now
        return Attempt(stored.lock.lock(behind_ms), stored.granted, stored.replaced, changes)


def _builtins(touch: Touch) -> dict[str, Any]:
    # Absent and null are the same to the caller, but null is a value in Lua: it is left out.
    found: dict[str, Any] = msgspec.to_builtins(touch)
    return {name: value for name, value in found.items() if value is not None}


def _changes(found: Sequence[bytes]) -> list[LockChange]:
    return [msgspec.json.decode(each, type=_StoredChange).change() for each in found]


def _span(due_in_ms: int) -> float | None:
    return None if due_in_ms < 0 else due_in_ms / 1000

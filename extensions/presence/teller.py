"""The one road of presence events to subscribers: in order, and kept until they were published."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec
import structlog

from channels.locks.model import LockChange
from channels.locks.store import LockStore
from channels.presence.events import FieldLocked, FieldUnlocked, PresenceEvent, iso
from channels.presence.store import PresenceStore
from channels.routes import channels_of

log = structlog.get_logger()

#: Publishes raw JSON on a channel.
Publish = Callable[[str, bytes], Awaitable[None]]

#: An event that was not settled for this long belongs to a node that died, or could not publish.
UNSETTLED_S = 5.0


class Teller:
    """Publishes what the stores found.

    Versions are taken and published under one lock, so that this node's events of a task leave in their order.

    Args:
        presence: Where presence is kept.
        locks: Where locks are kept.
        publish: How subscribers are reached.
        wall: Returns epoch seconds.
    """

    def __init__(self, presence: PresenceStore, locks: LockStore, publish: Publish, wall: Callable[[], float]) -> None:
        self._presence = presence
        self._locks = locks
        self._publish = publish
        self._wall = wall
        self._telling = asyncio.Lock()
        #: Told of every event after it was published, such as to count it.
        self.on_told: list[Callable[[PresenceEvent], None]] = []

    async def tell(self, event: PresenceEvent) -> None:
        """Publish one event on every channel it goes to. Encoded once."""
        encoded = msgspec.json.encode(event)
        kind = str(event.__struct_config__.tag)
        for channel in channels_of({"type": kind, "task_id": event.task_id}):
            await self._publish(channel, encoded)
        for listener in self.on_told:
            listener(event)

    async def flush(self) -> float | None:
        """Tell all that is due of presence and locks; return seconds until there is more, None if nothing waits."""
        async with self._telling:
            # Locks first: who holds one is among those present.
            changes, locks_due_in_s = await self._locks.expire(self._wall())
            await self._tell_locks(changes)
            flushed = await self._presence.flush(self._wall())
            await self._tell_presence(flushed.events)
        return min((due for due in (flushed.due_in_s, locks_due_in_s) if due is not None), default=None)

    async def tell_locks(self, changes: Sequence[LockChange]) -> None:
        """Tell the changes of locks."""
        if changes:
            async with self._telling:
                await self._tell_locks(changes)

    async def recover(self) -> None:
        """Tell what another node, or this one, found and could not tell."""
        async with self._telling:
            await self._tell_presence(await self._presence.unsettled(self._wall(), UNSETTLED_S))
            await self._tell_locks(await self._locks.unsettled(self._wall(), UNSETTLED_S))

    async def _tell_presence(self, events: Iterable[PresenceEvent]) -> None:
        told = []
        try:
            for event in events:
                await self.tell(event)
                told.append(event.event_id)
        finally:
            if told:
                await self._presence.settle(told)

    async def _tell_locks(self, changes: Iterable[LockChange]) -> None:
        for change in changes:
            version = await self._presence.take_version(change.task_id, self._wall())
            await self.tell(_lock_event(change, version))
            await self._locks.settle([change.event_id])


def _lock_event(change: LockChange, version: int) -> FieldLocked | FieldUnlocked:
    where = {"task_id": change.task_id, "field_name": change.field_name, "user_id": change.user_id}
    stamp = {"timestamp": iso(change.at_ms), "event_id": change.event_id}
    if change.ended is None:
        return FieldLocked(**where, **stamp, user_name=change.user_name, token=change.token, version=version)
    return FieldUnlocked(**where, **stamp, ended=change.ended.value, token=change.token, version=version)

"""A history for one node, gone with it."""

import time
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from itertools import islice
from random import randint

from bayeux_server.ports import MAX_STEP, Page, Place, Position
from bayeux_server.protocol.channel_id import ChannelId


class _Log:
    """The latest publications of one channel, and the ids of its last and of the last one dropped; 0 for none."""

    __slots__ = ("dropped_id", "entries", "last_id", "size_bytes")

    def __init__(self) -> None:
        self.entries: deque[Position] = deque()
        self.last_id = 0
        self.dropped_id = 0
        self.size_bytes = 0


class MemoryHistory:
    """Keeps publications in memory. See :class:`bayeux_server.ports.History`.

    Args:
        max_messages: Kept per channel.
        max_bytes: Kept over all channels; the channel longest unused is emptied first.
        max_channels: Channels remembered.
        wall: Tells the seconds since 1970 that ids are made of.
    """

    def __init__(
        self,
        *,
        max_messages: int = 1_000,
        max_bytes: int = 256 * 1024 * 1024,
        max_channels: int = 100_000,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._max_channels = max_channels
        self._wall = wall
        self._logs: OrderedDict[str, _Log] = OrderedDict()
        self._size_bytes = 0
        self._highest_forgotten_id = 0

    async def start(self) -> None:
        """See :meth:`History.start`."""

    async def append(self, channel: ChannelId, data: bytes) -> Place:
        """See :meth:`History.append`."""
        log = self._logs.get(channel.name)
        if log is None:
            log = self._logs[channel.name] = _Log()
        self._logs.move_to_end(channel.name)
        place = Place(self._id_above(max(log.last_id, self._highest_forgotten_id)), log.last_id)
        log.last_id = place.id
        log.entries.append(Position(place.id, data))
        self._grow(log, len(data))
        if len(log.entries) > self._max_messages:
            self._drop_oldest(log)
        self._forget_unused()
        return place

    async def after(self, channel: ChannelId, last_id: int, limit: int) -> Page:
        """See :meth:`History.after`."""
        log = self._logs.get(channel.name)
        if log is None:
            return Page((), complete=last_id == 0)
        start = bisect_right(log.entries, last_id, key=lambda entry: entry.id)
        is_known = log.entries[start - 1].id == last_id if start else last_id in (0, log.dropped_id)
        return Page(tuple(islice(log.entries, start, start + limit)), complete=is_known)

    async def last_id(self, channel: ChannelId) -> int:
        """See :meth:`History.last_id`."""
        log = self._logs.get(channel.name)
        return log.last_id if log else 0

    async def channels(self, pattern: ChannelId, limit: int) -> Sequence[str]:
        """See :meth:`History.channels`."""
        parent = pattern.name.removesuffix("*").removesuffix("*")
        deep = pattern.segments[-1] == "**"
        found = (name for name in self._logs if name.startswith(parent) and (deep or "/" not in name[len(parent) :]))
        return sorted(found)[:limit]

    async def stop(self) -> None:
        """See :meth:`History.stop`."""
        self._logs.clear()
        self._size_bytes = 0

    def unready(self) -> str | None:
        """See :meth:`History.unready`."""
        return None

    def _id_above(self, last_id: int) -> int:
        """Return an id that says when, and not how many came before."""
        now_us = int(self._wall() * 1_000_000)
        return now_us if now_us > last_id else last_id + randint(1, MAX_STEP)

    def _grow(self, log: _Log, size_bytes: int) -> None:
        log.size_bytes += size_bytes
        self._size_bytes += size_bytes

    def _drop_oldest(self, log: _Log) -> None:
        oldest = log.entries.popleft()
        log.dropped_id = oldest.id
        self._grow(log, -len(oldest.data))

    def _forget_unused(self) -> None:
        while self._size_bytes > self._max_bytes or len(self._logs) > self._max_channels:
            _, log = self._logs.popitem(last=False)
            self._size_bytes -= log.size_bytes
            self._highest_forgotten_id = max(self._highest_forgotten_id, log.last_id)

"""A history for one node, gone with it."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from itertools import islice

from bayeux_server.ports import Page, Position
from bayeux_server.protocol.channel_id import ChannelId


class _Log:
    """The latest publications of one channel."""

    __slots__ = ("entries", "last_id", "size_bytes")

    def __init__(self, last_id: int) -> None:
        self.entries: deque[Position] = deque()
        self.last_id = last_id
        self.size_bytes = 0


class MemoryHistory:
    """Keeps publications in memory. See :class:`bayeux_server.ports.History`.

    Args:
        max_messages: Kept per channel.
        max_bytes: Kept over all channels; the channel longest unused is emptied first.
        max_channels: Channels remembered.
        wall: Tells the seconds since 1970 that a channel's first id is made of.
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

    async def append(self, channel: ChannelId, data: bytes) -> int:
        """See :meth:`History.append`."""
        log = self._logs.get(channel.name)
        if log is None:
            log = self._logs[channel.name] = _Log(self._base())
        self._logs.move_to_end(channel.name)
        log.last_id += 1
        log.entries.append(Position(log.last_id, data))
        self._grow(log, len(data))
        if len(log.entries) > self._max_messages:
            self._drop_oldest(log)
        self._forget_unused()
        return log.last_id

    async def after(self, channel: ChannelId, last_id: int, limit: int) -> Page:
        """See :meth:`History.after`."""
        log = self._logs.get(channel.name)
        if log is None or last_id > log.last_id:
            return Page((), complete=last_id == 0)
        first_kept_id = log.last_id - len(log.entries) + 1
        entries = islice(log.entries, max(0, last_id + 1 - first_kept_id), None)
        return Page(tuple(islice(entries, limit)), complete=last_id == 0 or first_kept_id <= last_id + 1)

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

    def _base(self) -> int:
        """Return a number above every id given before, to begin a channel with."""
        return max(self._highest_forgotten_id, int(self._wall() * 1_000_000))

    def _grow(self, log: _Log, size_bytes: int) -> None:
        log.size_bytes += size_bytes
        self._size_bytes += size_bytes

    def _drop_oldest(self, log: _Log) -> None:
        self._grow(log, -len(log.entries.popleft().data))

    def _forget_unused(self) -> None:
        while self._size_bytes > self._max_bytes or len(self._logs) > self._max_channels:
            _, log = self._logs.popitem(last=False)
            self._size_bytes -= log.size_bytes
            self._highest_forgotten_id = max(self._highest_forgotten_id, log.last_id)

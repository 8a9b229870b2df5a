"""A broker that keeps what it carries, and has every channel arrive in the order of its ids.

Two nodes may give a channel's publications their ids in one order and the broker brings them in another; or the broker
loses some. Either shows, because each carries the id of the one before it from node to node, and the history fills it:
a client that remembers the highest id it has seen must not have missed a lower one.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from typing import Final

import msgspec
import structlog

from bayeux_server.ports import Broker, History, Place
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication
from extensions.replay.stamp import Stamp, from_entry, take_place, to_entry, with_gap

log = structlog.get_logger()

PAGE: Final = 50
MAX_TRACKED: Final = 100_000


#: Seconds within which a publication may still arrive that was overtaken by the first one seen of its channel.
LATE_S: Final = 10.0


class _Seen(msgspec.Struct):
    """The ids of a channel that this node has delivered: all from the first to the last, and since when."""

    first: int
    last: int
    since_s: float


class ReplayBroker:
    """Stands before another broker. See :class:`bayeux_server.ports.Broker`.

    Args:
        inner: Carries.
        history: Keeps.
        stamp: Knows which channels are kept.
        now: Tells seconds that never go back.
    """

    def __init__(self, inner: Broker, history: History, stamp: Stamp, now: Callable[[], float]) -> None:
        self._inner = inner
        self._history = history
        self._stamp = stamp
        self._now = now
        self._deliver: Callable[[Publication], None] = lambda _: None
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        #: Publications of channels whose gap is being filled wait behind it.
        self._lanes: dict[str, deque[tuple[Publication, Place]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_gap = inner.on_gap

    async def start(self, on_publication: Callable[[Publication], None]) -> None:
        """See :meth:`Broker.start`."""
        self._deliver = on_publication
        self._inner.on_gap.append(self._catch_up)
        await self._inner.start(self._arrived)

    async def publish(self, publication: Publication) -> None:
        """See :meth:`Broker.publish`. A kept publication is in the history before anybody gets it."""
        if publication.kept and self._stamp.keeps(publication.channel):
            place = await self._history.append(publication.channel, to_entry(publication))
            publication = self._stamp.write_place(publication, place)
        carried = self._inner.publish(publication)
        if carried is not None:
            await carried

    async def stop(self) -> None:
        """See :meth:`Broker.stop`."""
        await self._inner.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def unready(self) -> str | None:
        """See :meth:`Broker.unready`."""
        return self._inner.unready()

    def last_delivered(self, name: str) -> int:
        """Return the highest id of a channel that this node has delivered, 0 if none is known."""
        seen = self._seen.get(name)
        return seen.last if seen else 0

    def is_settled(self, name: str) -> bool:
        """Whether no id below the last delivered can be delivered any more."""
        seen = self._seen.get(name)
        return seen is not None and self._now() - seen.since_s >= LATE_S

    # ---- in

    def _arrived(self, publication: Publication) -> None:
        placed = take_place(publication)
        if placed is None:
            self._deliver(publication)
            return
        publication, place = placed
        name = publication.channel.name
        lane = self._lanes.get(name)
        if lane is not None:
            lane.append(placed)
        elif self._is_next(publication.channel, place):
            self._pass(publication, place.id)
        elif place.id > self._seen[name].last:
            self._lanes[name] = deque([placed])
            self._spawn(self._run_lane(publication.channel))
        elif place.id < self._seen[name].first and not self.is_settled(name):
            # Older than all this node knows of the channel: overtaken on its way, and delivered to nobody yet.
            self._deliver(publication)

    def _is_next(self, channel: ChannelId, place: Place) -> bool:
        seen = self._seen.get(channel.name)
        return seen is None or place.previous_id == seen.last

    def _pass(self, publication: Publication, event_id: int) -> None:
        seen = self._seen.setdefault(publication.channel.name, _Seen(event_id, event_id, self._now()))
        seen.last = event_id
        self._seen.move_to_end(publication.channel.name)
        if len(self._seen) > MAX_TRACKED:
            self._seen.popitem(last=False)
        self._deliver(publication)

    # ---- gaps

    async def _run_lane(self, channel: ChannelId) -> None:
        """Deliver what waits for a channel, each after what is missing before it."""
        lane = self._lanes[channel.name]
        try:
            while lane:
                publication, place = lane.popleft()
                if place.id <= self.last_delivered(channel.name):
                    continue
                if not self._is_next(channel, place) and not await self._fill(channel, place.previous_id):
                    publication = with_gap(publication)
                self._pass(publication, place.id)
        finally:
            del self._lanes[channel.name]

    async def _fill(self, channel: ChannelId, to_id: int) -> bool:
        """Deliver what the history has after the last delivered up to ``to_id``. Returns whether that is all.

        It is not where ``to_id`` lies before the last delivered: the history was lost and has begun anew.
        """
        try:
            while self.last_delivered(channel.name) != to_id:
                page = await self._history.after(channel, self.last_delivered(channel.name), PAGE)
                missing = [entry for entry in page.entries if entry.id <= to_id]
                gap = not page.complete
                for entry in missing:
                    publication = self._stamp.write(from_entry(channel, entry.data), entry.id)
                    self._pass(with_gap(publication) if gap else publication, entry.id)
                    gap = False
                if not missing:
                    return False
        except OSError:
            log.warning("replay.history_unreachable")
            return False
        return True

    def _catch_up(self, _lost: int | None) -> None:
        """The broker lost some: look what the history has that was not delivered."""
        self._spawn(self._fill_all())

    async def _fill_all(self) -> None:
        for name in list(self._seen):
            if name in self._lanes:
                continue
            channel = ChannelId(name, tuple(name.split("/")[1:]))
            self._lanes[name] = deque()
            try:
                last_id = await self._history.last_id(channel)
                complete = last_id <= self.last_delivered(name) or await self._fill(channel, last_id)
            except OSError:
                complete = False
            if not complete:
                log.error("replay.gap", recovered=False)
            await self._run_lane(channel)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""Tells one session what it missed, and joins that without seam to what happens meanwhile.

While a channel's past is told, its live events are not queued for the session: they are in the history before anybody
gets them, so reading on until nothing is left tells them too, in their place, and nothing has to be held or merged.
"""

import asyncio
from functools import partial
from typing import Final

import msgspec
import structlog

from bayeux_server.ports import History, Page
from bayeux_server.protocol.channel_id import ChannelGrammar, ChannelId
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import SessionExtension
from bayeux_server.server.fanout import deliver_to
from bayeux_server.server.session import ServerSession
from extensions.replay.asking import Asking
from extensions.replay.broker import PAGE, ReplayBroker
from extensions.replay.stamp import Stamp, from_entry, with_gap

log = structlog.get_logger()

#: Told events that may wait in the session's queue; the next are read when the client has taken these.
MAX_QUEUED: Final = 200
#: Channels below one pattern whose past is told.
MAX_CHANNELS: Final = 10_000
#: Channels of one session that are told at once: each has a page in hand, the others wait their turn.
MAX_AT_ONCE: Final = 8
#: Times to look again for a live event that the history does not show, before it is called lost.
MAX_LOOKS: Final = 3


class Parts(msgspec.Struct, frozen=True):
    """What catching up works with."""

    server: BayeuxServer
    history: History
    broker: ReplayBroker
    stamp: Stamp

    @property
    def grammar(self) -> ChannelGrammar:
        """Parses channel names."""
        return self.server.core.grammar


class Wish(msgspec.Struct):
    """What one subscription asked for.

    Attributes:
        subscription: The channel or pattern.
        todo: The id after which to begin, by channel; 0 for all that is kept.
        wants_all: Whether every other channel below the pattern is wanted from the beginning.
        done: Channels that have been told.
        is_over: Nobody wants it any more. Cancelling the task alone would not do: a library in between, redis-py for
            one, may let a cancellation fall.
    """

    subscription: ChannelId
    todo: dict[str, int]
    wants_all: bool = False
    done: set[str] = msgspec.field(default_factory=set)
    is_over: bool = False


class _Over(Exception):
    """What is being told is not wanted any more."""


class CatchUp(SessionExtension):
    """The catching up of one session. It belongs to the session's extensions only while it has something to do."""

    def __init__(self, session: ServerSession, parts: Parts) -> None:
        self._session = session
        self._parts = parts
        self._asking = Asking(parts.history, parts.server.core.clock, parts.server.core.timers)
        self._wishes: dict[str, Wish] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        #: Channels whose live events are not queued, with the highest id that was not.
        self._telling: dict[str, int] = {}
        #: The last id told of a channel; a live event that is not above it was told already.
        self._told: dict[str, int] = {}
        #: Channels of which something is lost that no told event could say.
        self._lost: set[str] = set()
        self._is_queueing = False
        self._room = asyncio.Event()
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)
        self._queued_bytes = 0

    def start(self, wish: Wish) -> None:
        """Begin to tell what a subscription asked for. One that is under way for the same subscription ends."""
        self.stop(wish.subscription.name)
        wish.todo = {name: last_id for name, last_id in wish.todo.items() if name not in self._telling}
        self._telling |= dict.fromkeys(wish.todo, 0)
        self._attach()
        self._wishes[wish.subscription.name] = wish
        self._tasks[wish.subscription.name] = asyncio.ensure_future(self._run(wish))

    def stop(self, subscription: str) -> None:
        """End the telling for a subscription."""
        task = self._tasks.pop(subscription, None)
        if task is None:
            return
        task.cancel()
        wish = self._wishes.pop(subscription)
        wish.is_over = True
        for name in wish.todo:
            self._telling.pop(name, None)
        self._detach_if_idle()

    def stop_all(self) -> None:
        """End everything: the session is gone, or the server stops."""
        for subscription in list(self._tasks):
            self.stop(subscription)

    # ---- live events

    def outgoing(self, session: ServerSession, delivery: Delivery) -> Delivery | None:
        """See :meth:`SessionExtension.outgoing`."""
        replay = delivery.ext.get("replay")
        if self._is_queueing or replay is None:
            return delivery
        name, event_id = delivery.channel.name, replay["id"]
        self._expect(delivery.channel)
        if name in self._telling:
            self._telling[name] = max(self._telling[name], event_id)
            self._asking.wake()
            return None
        if event_id <= self._told.get(name, 0):
            return None
        if name in self._told and self._parts.broker.is_settled(name):
            del self._told[name]
        if name in self._lost:
            self._lost.discard(name)
            delivery = Delivery(with_gap(Publication(delivery.channel, delivery.data, delivery.ext)))
        self._detach_if_idle()
        return delivery

    def _expect(self, channel: ChannelId) -> None:
        """A channel that was not there when the channels below a pattern were listed is told from its beginning."""
        if channel.name in self._telling or channel.name in self._told:
            return
        for wish in self._wishes.values():
            if wish.wants_all and channel.name not in wish.done and wish.subscription.name in channel.matching():
                wish.todo[channel.name] = 0
                self._telling[channel.name] = 0
                return

    # ---- past ones

    async def _run(self, wish: Wish) -> None:
        try:
            await self._tell_all(wish)
        except _Over:
            return
        except Exception:
            # Live events are kept back for a telling that will not come. Nobody may go on like that.
            log.exception("replay.failed", session=self._session.short_id)
            self._parts.server.disconnect(self._session, "replay_failed")

    async def _tell_all(self, wish: Wish) -> None:
        if wish.wants_all:
            await self._list(wish)
        while wish.todo:
            name = next(iter(wish.todo))
            async with self._turns:
                last_id, is_complete = await self._tell(wish, self._parts.grammar.parse(name), wish.todo[name])
            del wish.todo[name], self._telling[name]
            wish.done.add(name)
            self._told[name] = last_id
            if not is_complete:
                self._lost.add(name)
        del self._wishes[wish.subscription.name], self._tasks[wish.subscription.name]
        self._forget_told()
        self._detach_if_idle()

    async def _list(self, wish: Wish) -> None:
        list_channels = partial(self._parts.history.channels, wish.subscription, MAX_CHANNELS)
        names = await self._asking.ask(list_channels, lambda: wish.is_over)
        if wish.is_over:
            raise _Over
        for name in names or ():
            if name not in self._telling and name not in self._told and name not in wish.done:
                wish.todo[name] = 0
                self._telling[name] = 0

    async def _tell(self, wish: Wish, channel: ChannelId, last_id: int) -> tuple[int, bool]:
        """Tell what a channel has after an id. Returns the last id, and whether the session knows of every gap."""
        gap, looks, own_id = False, 0, last_id
        while True:
            page = await self._read(wish, channel, last_id)
            if page is None:
                return last_id, False
            if not page.complete and last_id == own_id:
                gap, last_id = True, 0  # too old, or never given: all that is kept comes after it
                continue
            gap = gap or not page.complete
            for entry in page.entries:
                publication = self._parts.stamp.write(from_entry(channel, entry.data), entry.id)
                if await self._queue(wish, with_gap(publication) if gap else publication):
                    gap = False
                # Also past what this session may not see.
                last_id = entry.id
            if page.entries:
                continue
            # From here to the return nothing waits: no live event can come between.
            looks += 1
            if self._telling[channel.name] <= last_id:
                return last_id, not gap
            if looks > MAX_LOOKS:
                return self._telling[channel.name], False

    async def _read(self, wish: Wish, channel: ChannelId, last_id: int) -> Page | None:
        """Return the next page, None if the history cannot be asked."""
        read = partial(self._parts.history.after, channel, last_id, PAGE)
        page = await self._asking.ask(read, lambda: wish.is_over)
        if wish.is_over:
            raise _Over
        return page

    async def _queue(self, wish: Wish, publication: Publication) -> bool:
        """Queue a past event if the session may see it, as soon as there is room."""
        delivery = await self._parts.server.view_for(self._session, publication)
        if delivery is None:
            return False
        limit_bytes = self._session.limits.max_queue_bytes // 4
        while len(self._session.queue) >= MAX_QUEUED or self._queued_bytes > limit_bytes:
            self._room.clear()
            await self._room.wait()
        if wish.is_over:
            raise _Over
        self._queued_bytes += delivery.size_bytes
        self._is_queueing = True
        deliver_to(self._session, delivery)
        self._is_queueing = False
        return True

    def _taken(self, _taken: list[Delivery]) -> None:
        self._queued_bytes = 0
        self._room.set()

    # ---- coming and going

    def _attach(self) -> None:
        if self not in self._session.extensions:
            self._session.extensions += (self,)
            self._session.dequeue_listeners += (self._taken,)

    def _forget_told(self) -> None:
        """Forget the ids up to which this node has delivered already: nothing of them can come any more."""
        if self._wishes:
            return
        broker = self._parts.broker
        self._told = {
            name: last_id
            for name, last_id in self._told.items()
            if broker.last_delivered(name) < last_id or not broker.is_settled(name)
        }

    def _detach_if_idle(self) -> None:
        if self._wishes or self._told or self._lost:
            return
        session = self._session
        session.extensions = tuple(each for each in session.extensions if each is not self)
        session.dequeue_listeners = tuple(each for each in session.dequeue_listeners if each != self._taken)

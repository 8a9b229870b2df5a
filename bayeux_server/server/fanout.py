"""From a publication to the sessions that get it.

Nothing here waits while it delivers, nothing is encoded per subscriber: a publication is encoded once for each view of
it, and that delivery joins the queue of every session of that view.
"""

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from typing import Protocol

import msgspec
import structlog

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.channel import ChannelIndex, ServerChannel
from bayeux_server.server.core import DeliveredListener
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Hooks, run
from bayeux_server.server.flush import Flush
from bayeux_server.server.listeners import tell
from bayeux_server.server.session import ServerSession
from bayeux_server.server.steps import complete

log = structlog.get_logger()

#: A publication as one part of the audience may see it, and that part. Who is in none of them sees nothing.
View = tuple[Publication, Collection[ServerSession]]

Prepared = tuple[Publication, Delivery, Collection[ServerSession]]


class ViewPolicy(Protocol):
    """Divides an audience by what each session may see."""

    def views(
        self, publication: Publication, audience: Collection[ServerSession]
    ) -> Sequence[View] | Awaitable[Sequence[View]]:
        """Return the views. May be awaitable where decisions are not at hand; the channel keeps its order meanwhile.

        An exception hides the publication from everyone.
        """


class Observer(Protocol):
    """Counts what fan-out does, per publication and never per delivery."""

    def delivered(self, deliveries: int) -> None:
        """A publication was queued for that many sessions."""


class Fanout:
    """Delivers the publications a broker brings.

    Args:
        on_lazy: Called with the sessions that have a lazy message waiting and nothing else.
        on_delivered: Told of each view that was queued.
    """

    def __init__(
        self,
        channels: ChannelIndex,
        hooks: Hooks,
        flush: Flush,
        observer: Observer,
        on_lazy: Callable[[Iterable[ServerSession]], None],
        spawn: Callable[[Coroutine[None, None, None]], object],
        on_delivered: Sequence[DeliveredListener] = (),
    ) -> None:
        self._channels = channels
        self._hooks = hooks
        self._flush = flush
        self._observer = observer
        self._on_lazy = on_lazy
        self._spawn = spawn
        self._on_delivered = on_delivered
        self._policies: dict[str, ViewPolicy] = {}
        #: Publications behind one that waits, by channel: a channel's order outlives a slow decision.
        self._lanes: dict[str, deque[Publication]] = {}

    def set_view_policy(self, pattern: ChannelId, policy: ViewPolicy) -> None:
        """Have ``policy`` divide the audience of channels that match; the most exact pattern counts."""
        self._policies[pattern.name] = policy

    def view_policy(self, pattern: ChannelId) -> ViewPolicy | None:
        """Return the policy that was set for just this pattern, None if none was."""
        return self._policies.get(pattern.name)

    async def view_for(self, session: ServerSession, publication: Publication) -> Delivery | None:
        """Return what one session would get of a publication, None if nothing; for events told again.

        The view policy decides as it does for a live one, and the ``outgoing`` hooks complete it.
        """
        policy = self._policy(publication.channel)
        views: Sequence[View] = [(publication, [session])]
        try:
            if policy is not None:
                divided = policy.views(publication, [session])
                views = await divided if inspect.isawaitable(divided) else divided
            seen = next((view for view, sessions in views if session in sessions), None)
            if seen is None:
                return None
            delivery = Delivery(seen)
            await complete(run(self._hooks.outgoing, seen, delivery))
        except Exception:
            log.exception("view.failed", channel_kind=publication.channel.segments[0])
            return None
        return delivery

    def on_publication(self, publication: Publication) -> None:
        """Deliver to this node's subscribers. Given to the broker."""
        lane = self._lanes.get(publication.channel.name)
        if lane is not None:
            lane.append(publication)
            return
        waiting = self._deliver(publication)
        if waiting is not None:
            self._lanes[publication.channel.name] = deque()
            self._spawn(self._run_lane(publication.channel.name, waiting))

    async def _run_lane(self, name: str, waiting: Awaitable[None] | None) -> None:
        lane = self._lanes[name]
        while True:
            try:
                if waiting is not None:
                    await waiting
                if not lane:
                    break
                waiting = self._deliver(lane.popleft())
            except Exception:
                # The next one in the lane must not wait for ever behind one that failed.
                log.exception("fanout.failed")
                waiting = None
        del self._lanes[name]

    def _deliver(self, publication: Publication) -> Awaitable[None] | None:
        """Deliver now and return None, or return what has to be waited for to have it delivered."""
        channels = self._channels.matching(publication.channel)
        if not channels:
            return None
        for channel in channels:
            if channel.lazy and not publication.lazy:
                publication = msgspec.structs.replace(publication, lazy=True)
        for channel in channels:
            if channel.listeners:
                tell(channel.listeners, publication)
        audience = _audience(channels)
        if not audience:
            return None
        policy = self._policy(publication.channel)
        if policy is None:
            return self._send([(publication, audience)])
        try:
            views = policy.views(publication, audience)
        except Exception:
            log.exception("view.failed", channel_kind=publication.channel.segments[0])
            return None
        if inspect.isawaitable(views):
            return self._send_later(views, publication.channel)
        return self._send(views)

    async def _send_later(self, awaited: Awaitable[Sequence[View]], channel: ChannelId) -> None:
        try:
            views = await awaited
        except Exception:
            log.exception("view.failed", channel_kind=channel.segments[0])
            return
        waiting = self._send(views)
        if waiting is not None:
            await waiting

    def _send(self, views: Sequence[View]) -> Awaitable[None] | None:
        prepared = [(publication, Delivery(publication), sessions) for publication, sessions in views]
        if self._hooks.outgoing_waits:
            return self._send_completed(prepared)
        try:
            for hook in self._hooks.outgoing:
                for publication, delivery, _ in prepared:
                    hook(publication, delivery)
        except Exception:
            log.exception("extension.failed", hook="outgoing")
            return None
        self._enqueue(prepared)
        return None

    async def _send_completed(self, prepared: Sequence[Prepared]) -> None:
        """Send once every hook, some of which are coroutine functions, has seen every delivery."""
        try:
            for publication, delivery, _ in prepared:
                await complete(run(self._hooks.outgoing, publication, delivery))
        except Exception:
            log.exception("extension.failed", hook="outgoing")
            return
        self._enqueue(prepared)

    def _enqueue(self, prepared: Iterable[Prepared]) -> None:
        for _, delivery, sessions in prepared:
            if delivery.lazy:
                self._enqueue_lazily(delivery, sessions)
                continue
            extended = [session for session in sessions if session.extensions]
            # Divided before they are called: an extension may take itself off by it.
            plain = [session for session in sessions if not session.extensions] if extended else sessions
            for session in extended:
                deliver_to(session, delivery)
            self._flush.announce(delivery, plain)
            self._tell_delivered(delivery, len(sessions))

    def _enqueue_lazily(self, delivery: Delivery, sessions: Collection[ServerSession]) -> None:
        for session in sessions:
            deliver_to(session, delivery)
        self._on_lazy(sessions)
        self._tell_delivered(delivery, len(sessions))

    def _tell_delivered(self, delivery: Delivery, sessions: int) -> None:
        self._observer.delivered(sessions)
        tell(self._on_delivered, delivery, sessions)

    def _policy(self, channel: ChannelId) -> ViewPolicy | None:
        if not self._policies:
            return None
        return next((self._policies[name] for name in channel.matching() if name in self._policies), None)


def _audience(channels: list[ServerChannel]) -> Collection[ServerSession]:
    """Return each session subscribed to one of the channels once, in a fixed order."""
    if len(channels) == 1:
        return channels[0].audience
    merged: dict[ServerSession, None] = {}
    for channel in channels:
        merged.update(channel.subscribers)
    return merged


def deliver_to(session: ServerSession, delivery: Delivery) -> None:
    """Queue an event for one session, by way of the session's own extensions."""
    for extension in reversed(session.extensions):
        try:
            wanted = extension.outgoing(session, delivery)
        except Exception:
            log.exception("extension.failed", hook="outgoing", session=session.short_id)
            return
        if wanted is None:
            return
        delivery = wanted
    session.deliver(delivery)

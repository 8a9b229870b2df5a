"""All subscriptions of a client: who gets an event, what to ask for again, and what may be missing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from bayeux_server.protocol.channel_id import ChannelId
from clients.python.errors import RefusedError
from clients.python.events import Event, Gap
from clients.python.subscription import Subscription

Message = dict[str, Any]

#: Where our server says which subscriptions it ended because they are not allowed any more.
REVOKED_CHANNEL: Final = "/service/subscriptions"


class Subscriptions:
    """Subscriptions by channel or pattern.

    Args:
        tell_gap: Told of each gap, once.
        tell_revoked: Told of each channel or pattern whose subscriptions the server ended.
    """

    def __init__(self, tell_gap: Callable[[Gap], None], tell_revoked: Callable[[str], None]) -> None:
        self._tell_gap = tell_gap
        self._tell_revoked = tell_revoked
        self._by_channel: dict[str, list[Subscription]] = {}
        #: Channels with a gap that a reply told of; the first event after it says so once more.
        self._announced: set[str] = set()
        #: For each subscribe under way: the channels whose events have told of a gap meanwhile.
        self._told_meanwhile: list[set[str]] = []

    def __iter__(self) -> Iterator[Subscription]:
        return iter([each for subscriptions in self._by_channel.values() for each in subscriptions])

    @property
    def channels(self) -> list[str]:
        """The channels and patterns."""
        return list(self._by_channel)

    def of(self, channel: str) -> list[Subscription]:
        """Return the subscriptions of a channel or pattern."""
        return list(self._by_channel.get(channel, ()))

    def add(self, subscription: Subscription) -> None:
        """Add one."""
        self._by_channel.setdefault(subscription.channel, []).append(subscription)

    def drop(self, subscription: Subscription) -> None:
        """Remove one."""
        others = [each for each in self.of(subscription.channel) if each is not subscription]
        if others:
            self._by_channel[subscription.channel] = others
        else:
            self._by_channel.pop(subscription.channel, None)

    # ---- events

    def deliver(self, message: Message) -> None:
        """Give an event to everybody it is for."""
        if message["channel"] == REVOKED_CHANNEL:
            self._revoked(message["data"])
        ext = message.get("ext")
        replay = (ext or {}).get("replay") or {}
        event = Event(message["channel"], message["data"], replay.get("id"), ext)
        if replay.get("gap"):
            self._gap_shown(event.channel)
        for name in ChannelId(event.channel, tuple(event.channel[1:].split("/"))).matching():
            for subscription in self.of(name):
                subscription.arrived(event)

    def refused(self, channel: str, error: RefusedError) -> None:
        """End the subscriptions of a channel or pattern that the server does not allow any more."""
        for subscription in self.of(channel):
            self.drop(subscription)
            subscription.end(error)

    def _revoked(self, data: Any) -> None:
        for channel in data.get("subscriptions", ()) if isinstance(data, dict) else ():
            if self.of(channel):
                self.refused(channel, RefusedError(f"403:{channel}:subscription_revoked"))
                self._tell_revoked(channel)

    # ---- history

    def replay_of(self, channel: str) -> dict[str, int]:
        """Return the positions to ask for: where several subscriptions differ, the earliest."""
        earliest: dict[str, int] = {}
        for subscription in self.of(channel):
            for name, position in subscription.replay().items():
                earliest[name] = min(position, earliest.get(name, position))
        return earliest

    def unknowable_gap(self, channel: str, *, replays: bool) -> Gap | None:
        """Return what a lost session cost a channel and no history can tell, None if the history can."""
        if not replays:
            return Gap(channel, "the session was lost, and the server keeps no history")
        subscriptions = self.of(channel)
        if any(each.wants_all for each in subscriptions):
            return None
        if any(each.is_pattern for each in subscriptions):
            return Gap(channel, "the session was lost: channels that had been silent may have had their first events")
        if not self.replay_of(channel):
            return Gap(channel, "the session was lost before a first event, so it is not known where to go on")
        return None

    @contextmanager
    def subscribing(self) -> Iterator[Callable[[Message], None]]:
        """While open, gaps may show in events before the reply tells of them. Gives what to call with the reply."""
        told: set[str] = set()
        self._told_meanwhile.append(told)

        def replied(reply: Message) -> None:
            for channel in ((reply.get("ext") or {}).get("replay") or {}).get("gap") or ():
                if channel not in told:
                    self._announced.add(channel)
                    self._tell_history_gap(channel)

        try:
            yield replied
        finally:
            self._told_meanwhile.remove(told)

    def _gap_shown(self, channel: str) -> None:
        if channel in self._announced:
            self._announced.discard(channel)
            return
        for told in self._told_meanwhile:
            told.add(channel)
        self._tell_history_gap(channel)

    def _tell_history_gap(self, channel: str) -> None:
        self._tell_gap(Gap(channel, "the server's history does not reach back that far"))

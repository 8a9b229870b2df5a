"""What a subscribe message asks to be told again."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelGrammar, ChannelId
from extensions.replay.catch_up import Wish
from extensions.replay.stamp import Stamp

NEW_ONLY: Final = -1
ALL_KEPT: Final = -2


class Positions(msgspec.Struct, frozen=True):
    """The positions of one message.

    Attributes:
        own: By subscription, as given.
        below: By pattern that is subscribed to, the positions given for channels below it.
    """

    own: Mapping[str, int]
    below: Mapping[str, Mapping[str, int]]

    def wish(self, subscription: ChannelId, stamp: Stamp) -> Wish | None:
        """Return what one of the message's subscriptions asks for, None if only new events."""
        own = self.own.get(subscription.name, NEW_ONLY)
        if not subscription.is_pattern:
            if own == NEW_ONLY or not stamp.keeps(subscription):
                return None
            return Wish(subscription, {subscription.name: max(own, 0)})
        below = self.below.get(subscription.name, {})
        todo = {name: max(last_id, 0) for name, last_id in below.items() if last_id != NEW_ONLY}
        if not todo and own == NEW_ONLY:
            return None
        return Wish(subscription, todo, wants_all=own != NEW_ONLY, done=below.keys() - todo.keys())

    def unknown(self) -> list[str]:
        """Return the patterns that were given an id: it belongs to no channel, so nobody knows what came after it."""
        return [name for name, last_id in self.own.items() if name.endswith("*") and last_id > 0]

    def known(self) -> dict[str, int]:
        """Return the ids given for channels that the message subscribes to, by themselves or by a pattern."""
        ids = {name: last_id for name, last_id in self.own.items() if not name.endswith("*")}
        for below in self.below.values():
            ids |= below
        return {name: last_id for name, last_id in ids.items() if last_id > 0}


def read_positions(asked: Any, names: tuple[str, ...], grammar: ChannelGrammar, stamp: Stamp) -> Positions:
    """Return the positions of a message's ``ext.replay`` that concern its own subscriptions.

    Clients may send all the positions they know with each subscribe.

    Raises:
        RemoteError: 402, if it is no object of channels and ids.
    """
    if not isinstance(asked, dict) or not all(
        type(last_id) is int and last_id >= ALL_KEPT for last_id in asked.values()
    ):
        raise RemoteError(402, ["ext.replay"], "must be an object of channels and ids")
    subscribed = set(names)
    below: dict[str, dict[str, int]] = {name: {} for name in names if name.endswith("*")}
    if below:
        for name, last_id in asked.items():
            channel = _parse(name, grammar)
            if channel is None or channel.is_pattern or not stamp.keeps(channel):
                continue
            for pattern in channel.matching():
                if pattern in below:
                    below[pattern][name] = last_id
    return Positions({name: last_id for name, last_id in asked.items() if name in subscribed}, below)


def _parse(name: str, grammar: ChannelGrammar) -> ChannelId | None:
    try:
        return grammar.parse(name)
    except RemoteError:
        return None

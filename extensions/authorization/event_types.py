"""``ext.event_types`` of a subscribe: which types of event the session wants on that channel.

``["task.updated", "presence.*"]``; without it, all. A ``*`` at the end stands for whatever follows; elsewhere it is
refused, for it would match nothing. A session that matches by several subscriptions gets an event if one of them wants
it.
"""

from collections.abc import Collection, Mapping
from typing import Final

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Message, Subscribe
from bayeux_server.server.session import ServerSession

_MOST_TYPES: Final = 50
_LONGEST_TYPE: Final = 64


class _Wanted:
    """Types a subscription named: exact ones, and the beginnings of those that end in ``*``."""

    def __init__(self, names: Collection[str]) -> None:
        self._exact = frozenset(names)
        self._beginnings = tuple(name[:-1] for name in names if name.endswith("*"))

    def __contains__(self, event_type: object) -> bool:
        if not isinstance(event_type, str):
            return False
        return event_type in self._exact or event_type.startswith(self._beginnings)


class EventTypes:
    """Knows what sessions want of the channels they are subscribed to."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[ServerSession, _Wanted]] = {}

    def subscribed(self, session: ServerSession, channel: ChannelId, message: Subscribe | None) -> None:
        """Hear of a subscription; a newer one on the same channel replaces what was wanted before."""
        names = _names(message) if message is not None else None
        if names is None:
            self.unsubscribed(session, channel)
        else:
            self._wanted.setdefault(channel.name, {})[session] = _Wanted(names)

    def unsubscribed(self, session: ServerSession, channel: ChannelId, _message: object = None) -> None:
        """Hear that a subscription ended."""
        sessions = self._wanted.get(channel.name)
        if sessions is not None and sessions.pop(session, None) is not None and not sessions:
            del self._wanted[channel.name]

    def wanting(
        self, channel: ChannelId, event_type: object, audience: Collection[ServerSession]
    ) -> Collection[ServerSession]:
        """Return those of an audience who want events of a type on a channel."""
        if not self._wanted:
            return audience
        filtered = {name: self._wanted[name] for name in channel.matching() if name in self._wanted}
        if not filtered:
            return audience
        names = [name for name in channel.matching() if name not in filtered]
        return [
            session
            for session in audience
            if not session.subscriptions.isdisjoint(names) or _wants(session, filtered, event_type)
        ]


def check_event_types(message: Message) -> None:
    """Refuse a subscribe whose ``ext.event_types`` is no list of names.

    Raises:
        RemoteError: 402, naming the field.
    """
    if isinstance(message, Subscribe):
        _names(message)


def _wants(session: ServerSession, filtered: Mapping[str, Mapping[ServerSession, _Wanted]], event_type: object) -> bool:
    for name, sessions in filtered.items():
        if name in session.subscriptions:
            wanted = sessions.get(session)
            if wanted is None or event_type in wanted:
                return True
    return False


def _names(message: Subscribe) -> tuple[str, ...] | None:
    names = (message.ext or {}).get("event_types")
    if names is None:
        return None
    if not isinstance(names, list) or not 0 < len(names) <= _MOST_TYPES:
        raise RemoteError(402, ["ext.event_types"], "event_types_invalid")
    if not all(map(_is_type, names)):
        raise RemoteError(402, ["ext.event_types"], "event_types_invalid")
    return tuple(names)


def _is_type(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_TYPE and "*" not in name[:-1]

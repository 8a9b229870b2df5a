"""Channels and who is subscribed to them."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.session import ServerSession

if TYPE_CHECKING:
    from bayeux_server.server.authorizer import Authorizer

PublicationListener = Callable[[Publication], None]


class ServerChannel:
    """A channel, or a pattern somebody subscribed to.

    Attributes:
        subscribers: Sessions, in the order they came. Changed by :meth:`add` and :meth:`remove` only.
        listeners: Code of this server; called with each publication, must not wait.
        authorizers: See :class:`bayeux_server.server.authorizer.Authorizer`.
        persistent: Stays when it is empty. Transient channels are swept.
        lazy: Its messages may wait for company.
    """

    __slots__ = ("_audience", "authorizers", "id", "lazy", "listeners", "persistent", "subscribers")

    def __init__(self, channel_id: ChannelId) -> None:
        self.id = channel_id
        self.subscribers: dict[ServerSession, None] = {}
        self._audience: tuple[ServerSession, ...] | None = None
        self.listeners: list[PublicationListener] = []
        self.authorizers: list[Authorizer] = []
        self.persistent = False
        self.lazy = False

    @property
    def audience(self) -> tuple[ServerSession, ...]:
        """The subscribers as they are now; the same object until they change."""
        if self._audience is None:
            self._audience = tuple(self.subscribers)
        return self._audience

    def add(self, session: ServerSession) -> None:
        """Add a subscriber."""
        self.subscribers[session] = None
        self._audience = None

    def remove(self, session: ServerSession) -> None:
        """Remove a subscriber."""
        del self.subscribers[session]
        self._audience = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost with it."""
        return not (self.persistent or self.subscribers or self.listeners or self.authorizers or self.lazy)


class ChannelIndex:
    """All channels of a server by name.

    An event finds its audience by one dictionary look-up for each name in :meth:`ChannelId.matching`, so its cost does
    not depend on how many other channels or patterns there are.

    Args:
        max_channels: How many may exist.
    """

    def __init__(self, max_channels: int = 1_000_000) -> None:
        self._channels: dict[str, ServerChannel] = {}
        self._max_channels = max_channels

    def __len__(self) -> int:
        return len(self._channels)

    def __iter__(self) -> Iterator[ServerChannel]:
        return iter(self._channels.values())

    def get(self, name: str) -> ServerChannel | None:
        """Return the channel of that name, None if nobody made it."""
        return self._channels.get(name)

    def get_or_create(self, channel_id: ChannelId) -> ServerChannel:
        """Return the channel, made if need be.

        Raises:
            RemoteError: 403, if there are too many channels already.
        """
        channel = self._channels.get(channel_id.name)
        if channel is None:
            if len(self._channels) >= self._max_channels:
                raise RemoteError(403, [channel_id.name], "too_many_channels")
            channel = self._channels[channel_id.name] = ServerChannel(channel_id)
        return channel

    def matching(self, channel_id: ChannelId) -> list[ServerChannel]:
        """Return the channels and patterns that an event on ``channel_id`` reaches."""
        channels = self._channels
        return [channels[name] for name in channel_id.matching() if name in channels]

    def authorizers(self, channel_id: ChannelId) -> "list[Authorizer]":
        """Return the authorizers of a channel and of the patterns above it."""
        return [authorizer for channel in self.matching(channel_id) for authorizer in channel.authorizers]

    def subscribe(self, session: ServerSession, channel_id: ChannelId) -> bool:
        """Subscribe a session. Returns False if it was subscribed already."""
        if channel_id.name in session.subscriptions:
            return False
        self.get_or_create(channel_id).add(session)
        session.subscriptions.add(channel_id.name)
        return True

    def unsubscribe(self, session: ServerSession, name: str) -> bool:
        """Unsubscribe a session. Returns False if it was not subscribed."""
        if name not in session.subscriptions:
            return False
        session.subscriptions.discard(name)
        self._channels[name].remove(session)
        return True

    def sweep(self) -> list[ServerChannel]:
        """Remove the empty transient channels and return them."""
        empty = [channel for channel in self._channels.values() if channel.is_empty]
        for channel in empty:
            del self._channels[channel.id.name]
        return empty

"""Sessions of code that runs inside the server."""

from collections.abc import Awaitable, Callable

from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.server.channel import ChannelIndex, PublicationListener, ServerChannel


class LocalSession:
    """Subscribes and publishes like a client, without one: no queue, no transport, no checks of policy.

    Callbacks run inside the fan-out of the publication and must return at once.
    """

    def __init__(
        self,
        name: str,
        grammar: ChannelGrammar,
        channels: ChannelIndex,
        publish: Callable[[str, object], Awaitable[None]],
    ) -> None:
        self.name = name
        self._grammar = grammar
        self._channels = channels
        self._publish = publish
        self._subscriptions: list[tuple[ServerChannel, PublicationListener]] = []

    def subscribe(self, channel: str, callback: PublicationListener) -> None:
        """Have ``callback`` called with every publication on a channel or pattern.

        Raises:
            RemoteError: 405 if the name is no channel.
        """
        server_channel = self._channels.get_or_create(self._grammar.parse(channel))
        server_channel.listeners.append(callback)
        self._subscriptions.append((server_channel, callback))

    async def publish(self, channel: str, data: object) -> None:
        """Publish raw JSON (``bytes``) or a value to encode.

        Raises:
            RemoteError: 405 if the name is no channel to publish on.
        """
        await self._publish(channel, data)

    def disconnect(self) -> None:
        """End all subscriptions."""
        for channel, callback in self._subscriptions:
            channel.listeners.remove(callback)
        self._subscriptions.clear()

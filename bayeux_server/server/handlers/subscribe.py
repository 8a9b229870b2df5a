"""``/meta/subscribe`` and ``/meta/unsubscribe``."""

import inspect
from functools import partial

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelId, ChannelKind
from bayeux_server.protocol.messages import Subscribe, Unsubscribe
from bayeux_server.server.authorizer import Operation, authorized
from bayeux_server.server.core import Core
from bayeux_server.server.handlers import Settle
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.session import ServerSession
from bayeux_server.server.steps import Steps


class SubscribeHandler:
    """Puts sessions on channels, all that a message names or none."""

    def __init__(self, core: Core, lifecycle: Lifecycle) -> None:
        self._core = core
        self._lifecycle = lifecycle

    def process(self, session: ServerSession, message: Subscribe, settling: list[Settle]) -> Steps[None]:
        """Subscribe the session. What it was not subscribed to before is taken back if the reply is refused after all.

        Raises:
            RemoteError: 403 or 405 naming the first channel that is refused; then nothing was subscribed.
        """
        limit = self._core.bounds.max_subscriptions_per_session
        if len(message.names) > limit:  # before anybody is asked about each of them
            raise RemoteError(403, [message.names[-1]], "too_many_subscriptions")
        # Each member is authorised by itself: a list must not carry in what would be refused alone.
        channels: list[ChannelId] = []
        for name in message.names:
            channel = yield from self._permitted(session, name)
            channels.append(channel)
        wanted = [channel for channel in dict.fromkeys(channels) if channel.kind is ChannelKind.BROADCAST]
        fresh = [channel for channel in wanted if channel.name not in session.subscriptions]
        if len(session.subscriptions) + len(fresh) > limit:
            raise RemoteError(403, [message.names[-1]], "too_many_subscriptions")
        settling.append(partial(self._settle, session, fresh))
        for channel in fresh:
            self._core.channels.subscribe(session, channel)
        for channel in wanted:
            for listener in self._core.on_subscribed:
                listener(session, channel, message)

    def _settle(self, session: ServerSession, fresh: list[ChannelId], successful: bool) -> None:
        if not successful:
            for channel in fresh:
                self._lifecycle.unsubscribe(session, channel.name)

    def _permitted(self, session: ServerSession, name: str) -> Steps[ChannelId]:
        channel = self._core.grammar.parse(name)
        if channel.kind is ChannelKind.META or channel.name == "/service":
            raise RemoteError(403, [name], "subscribe_denied")
        if channel.kind is ChannelKind.SERVICE:
            return channel  # successful, and nothing is recorded
        existing = self._core.channels.get(name)
        if existing is None:
            may_create = self._core.policy.can_create(session, channel)
            if may_create is not True and inspect.isawaitable(may_create):
                may_create = yield may_create
            if not (may_create and self._authorized(Operation.CREATE, channel, session)):
                raise RemoteError(403, [name], "create_denied")
        may_subscribe = self._core.policy.can_subscribe(session, channel)
        if may_subscribe is not True and inspect.isawaitable(may_subscribe):
            may_subscribe = yield may_subscribe
        if not (may_subscribe and self._authorized(Operation.SUBSCRIBE, channel, session)):
            raise RemoteError(403, [name], "subscribe_denied")
        return channel

    def _authorized(self, operation: Operation, channel: ChannelId, session: ServerSession) -> bool:
        return authorized(self._core.channels.authorizers(channel), operation, channel, session)


class UnsubscribeHandler:
    """Takes sessions off channels."""

    def __init__(self, core: Core, lifecycle: Lifecycle) -> None:
        self._core = core
        self._lifecycle = lifecycle

    def process(self, session: ServerSession, message: Unsubscribe, settling: list[Settle]) -> None:
        """Have the session unsubscribed once the reply stands: taken back, it would have missed what came meanwhile.

        What it was not subscribed to is a success.

        Raises:
            RemoteError: 405 for a name that is no channel; then nothing is unsubscribed.
        """
        channels = [self._core.grammar.parse(name) for name in message.names]
        settling.append(partial(self._settle, session, channels))

    def _settle(self, session: ServerSession, channels: list[ChannelId], successful: bool) -> None:
        if successful:
            for channel in channels:
                self._lifecycle.unsubscribe(session, channel.name)

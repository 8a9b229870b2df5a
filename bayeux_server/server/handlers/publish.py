"""A message to a broadcast or service channel."""

import inspect

import structlog

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelKind
from bayeux_server.protocol.messages import Publication, Publish, Reply
from bayeux_server.server.authorizer import Operation, authorized
from bayeux_server.server.core import Core
from bayeux_server.server.session import ServerSession
from bayeux_server.server.steps import Steps

log = structlog.get_logger()


class PublishHandler:
    """Authorises a publish and sends it on its way."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._reaches_broker = True

    def process(self, session: ServerSession | None, message: Publish, reply: Reply) -> Steps[None]:
        """Publish the message. On return the broker has it.

        Raises:
            RemoteError: 402 without a session where one is needed, 403 if denied, 503 if the broker is out of reach.
        """
        yield from self._authorise(session, message)
        if message.channel.kind is ChannelKind.SERVICE:
            if session is not None and not self._core.remote_calls.start(session, message):
                reply.extend("handled", False)
            return
        for hook in self._core.hooks.take_over:
            taken_over = hook(session, message)
            if inspect.isawaitable(taken_over):
                taken_over = yield taken_over
            if taken_over:
                return
        # From here on nothing of the publisher's envelope is known: subscribers get what this makes, and no more.
        yield from self.publish(Publication(message.channel, bytes(message.data), message.made_ext))

    def publish(self, publication: Publication) -> Steps[None]:
        """Give a publication to the broker, by way of the ``publishing`` hooks.

        Raises:
            RemoteError: 503, if the broker is out of reach, or what a hook refuses with.
        """
        for hook in self._core.hooks.publishing:
            replaced = hook(publication)
            if inspect.isawaitable(replaced):
                replaced = yield replaced
            if replaced is not None:
                publication = replaced
        try:
            carried = self._core.broker.publish(publication)
            if carried is not None:
                yield carried
        except OSError as error:
            # Once for each outage: whoever publishes meanwhile is told so.
            if self._reaches_broker:
                log.error("broker.unavailable", error=type(error).__name__)
            self._reaches_broker = False
            raise RemoteError(503, (), "broker_unavailable") from None
        if not self._reaches_broker:
            self._reaches_broker = True
            log.info("broker.available")

    def _authorise(self, session: ServerSession | None, message: Publish) -> Steps[None]:
        core, channel = self._core, message.channel
        authorizers = core.channels.authorizers(channel)
        if channel.kind is ChannelKind.BROADCAST and core.channels.get(channel.name) is None:
            may_create = core.policy.can_create(session, channel)
            if may_create is not True and inspect.isawaitable(may_create):
                may_create = yield may_create
            if not (may_create and authorized(authorizers, Operation.CREATE, channel, session)):
                raise _denied(session, message, "create_denied")
        may_publish = core.policy.can_publish(session, message)
        if may_publish is not True and inspect.isawaitable(may_publish):
            may_publish = yield may_publish
        if not (may_publish and authorized(authorizers, Operation.PUBLISH, channel, session)):
            raise _denied(session, message, "publish_denied")


def _denied(session: ServerSession | None, message: Publish, text: str) -> RemoteError:
    if session is None:
        return RemoteError(402, (), "session_unknown")
    return RemoteError(403, [message.channel.name], text)

"""Refuses messages that shout, and says of all others that they are calm."""

import msgspec

from bayeux_server.errors import RemoteError
from bayeux_server.host import ExtensionContext
from bayeux_server.protocol.messages import Publication, Publish
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession


class Section(msgspec.Struct, forbid_unknown_fields=True):
    max_capitals: int = 10


class NoShouting(Extension):
    name = "no_shouting"

    def __init__(self, max_capitals: int) -> None:
        self.max_capitals = max_capitals

    def incoming(self, session: ServerSession | None, message: Publish) -> None:
        if sum(map(str.isupper, bytes(message.data).decode())) > self.max_capitals:
            raise RemoteError(403, [message.channel.name], "no_shouting")

    def outgoing(self, publication: Publication, delivery: Delivery) -> None:
        delivery.extend("calm", True)


def create(context: ExtensionContext) -> NoShouting:
    return NoShouting(context.read_config(Section).max_capitals)

"""Messages as they stand once read, and as they stand before they are written.

Incoming messages have passed the type checks of :mod:`bayeux_server.protocol.wire`; ``id`` and ``data`` stay the raw
JSON they came as, so that they leave byte for byte as they arrived.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from bayeux_server.protocol.advice import Advice, ClientAdvice
from bayeux_server.protocol.channel_id import ChannelId

META_HANDSHAKE: Final = "/meta/handshake"
META_CONNECT: Final = "/meta/connect"
META_SUBSCRIBE: Final = "/meta/subscribe"
META_UNSUBSCRIBE: Final = "/meta/unsubscribe"
META_DISCONNECT: Final = "/meta/disconnect"

VERSION: Final = "1.0"

Ext = dict[str, Any]


class Message(msgspec.Struct, kw_only=True):
    """What every incoming message has.

    Attributes:
        channel: Where it was sent; extensions may look, none may change it.
        id: Raw JSON of the id, None if the message had none.
        client_id: The session it claims.
        ext: Extension fields.
    """

    channel: ChannelId
    id: Raw | None = None
    client_id: str | None = None
    ext: Ext | None = None


class Handshake(Message, kw_only=True):
    """``/meta/handshake``. ``version`` and ``minimum_version`` have been found to be version numbers."""

    version: str
    minimum_version: str | None = None
    supported_connection_types: tuple[str, ...]
    advice: ClientAdvice | None = None


class Connect(Message, kw_only=True):
    """``/meta/connect``."""

    connection_type: str
    advice: ClientAdvice | None = None


class Subscribe(Message, kw_only=True):
    """``/meta/subscribe``. ``subscription`` is the raw JSON to echo; ``names`` are its members, not yet parsed."""

    subscription: Raw
    names: tuple[str, ...]


class Unsubscribe(Message, kw_only=True):
    """``/meta/unsubscribe``, shaped like :class:`Subscribe`."""

    subscription: Raw
    names: tuple[str, ...]


class Disconnect(Message, kw_only=True):
    """``/meta/disconnect``."""


class Publish(Message, kw_only=True):
    """A message to a broadcast or service channel.

    Attributes:
        data: Raw JSON.
        made_ext: What an extension of this server wants the publication to carry in ``ext``. Never the client's own.
    """

    data: Raw
    made_ext: Ext | None = None


class Malformed(msgspec.Struct, kw_only=True):
    """A member of a batch that is no message, with the reply it gets.

    Attributes:
        error: In wire form.
        channel: The channel it named, if that was a string.
        id: Raw JSON of its id, if that was one.
        client_id: The session it claimed, if that was a string.
        subscription: Raw JSON to echo.
    """

    error: str
    channel: str | None = None
    id: Raw | None = None
    client_id: str | None = None
    subscription: Raw | None = None


Incoming = Message | Malformed


class Reply(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The answer to one message. Field names are the wire's; unset ones are left out."""

    channel: str | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    clientId: str | UnsetType = UNSET  # noqa: N815
    version: str | UnsetType = UNSET
    minimumVersion: str | UnsetType = UNSET  # noqa: N815
    supportedConnectionTypes: tuple[str, ...] | UnsetType = UNSET  # noqa: N815
    successful: bool | UnsetType = UNSET
    subscription: Raw | UnsetType = UNSET
    error: str | UnsetType = UNSET
    advice: Advice | UnsetType = UNSET
    timestamp: str | UnsetType = UNSET
    ext: Ext | UnsetType = UNSET

    def extend(self, name: str, value: object) -> None:
        """Set one field of ``ext``."""
        if self.ext is UNSET:
            self.ext = {}
        self.ext[name] = value


class Publication(msgspec.Struct, frozen=True):
    """What subscribers get, made anew from a publish: nothing else of the publisher's message is in it.

    Attributes:
        channel: A broadcast channel, never a pattern.
        data: Raw JSON.
        ext: Fields that extensions of this server made.
        lazy: May wait for the next message or connect instead of going out at once.
        kept: May be kept in a history. Not what is true for a moment only, such as that somebody types.
    """

    channel: ChannelId
    data: bytes
    ext: Mapping[str, Any] | None = None
    lazy: bool = False
    kept: bool = True

"""What a client tells its user."""

from enum import Enum
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True):
    """A publication as it arrived.

    Attributes:
        channel: The channel it was published on.
        data: The decoded JSON value.
        replay_id: Its position in the channel's history, if the server keeps one.
        ext: Fields that the server's extensions added.
    """

    channel: str
    data: Any
    replay_id: int | None = None
    ext: dict[str, Any] | None = None


class Gap(msgspec.Struct, frozen=True):
    """Events may be missing: the session was lost, and the history could not close the hole.

    Attributes:
        channel: The subscription it concerns.
        reason: Why, for people.
    """

    channel: str
    reason: str


class ClientState(Enum):
    """Where a client stands."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"

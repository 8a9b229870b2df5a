"""What server and client tell each other about reconnecting."""

from typing import Literal

import msgspec

Reconnect = Literal["retry", "handshake", "none"]


class Advice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Advice to a client. Always complete, for CometD replaces the last one while Faye merges into it.

    Attributes:
        reconnect: ``retry``, ``handshake`` or ``none``.
        interval: Milliseconds to wait before the next connect. 0 unless throttling is meant.
        timeout: Milliseconds the server holds a connect.
        multiple_clients: Several sessions of one browser would exhaust its connections.
    """

    reconnect: Reconnect
    interval: int
    timeout: int
    multiple_clients: bool = msgspec.field(default=False, name="multiple-clients")


class ClientAdvice(msgspec.Struct, frozen=True):
    """What a client asks for: ``timeout`` in milliseconds, however odd its value; see :func:`hold_for`."""

    timeout: float | None = None
    interval: float | None = None


def hold_for(wish: ClientAdvice | None, *, hold_timeout_ms: int) -> int:
    """Return how long to hold a ``/meta/connect``, in milliseconds, between 0 and ``hold_timeout_ms``.

    A negative or absurd wish is brought into that range instead of being refused: the client asked for something we can
    give it nearly.

    Source: Bayeux 1.0, "timeout advice field".
    """
    if wish is None or wish.timeout is None:
        return hold_timeout_ms
    return int(min(max(wish.timeout, 0), hold_timeout_ms))

"""Where messages come from."""

import os
from typing import Final

import msgspec

from bayeux_server.server.identity import Identity
from bayeux_server.server.pipe import Pipe, Socket

BROWSER_BYTES: Final = 16  # 128 random bits


class Origin(msgspec.Struct, eq=False):
    """Where a batch of messages comes from.

    Attributes:
        transport: The transport's name, a Bayeux connection type.
        address: The peer's network address.
        browser: The browser cookie the request showed.
        offered_browser: The cookie its reply sets, None if it showed one.
        socket: The connection, where it is a lasting one.
        identity: Who the request itself proved to be, by a header.
        token: The bearer token of the request's header.
        http2: Whether many requests of one browser share a connection.
        pipe: Where events are pushed once a connect has bound the connection.
    """

    transport: str
    address: str
    browser: str | None = None
    offered_browser: str | None = None
    socket: Socket | None = None
    identity: Identity | None = None
    token: str | None = None
    http2: bool = False
    pipe: Pipe | None = None


def new_browser() -> str:
    """Return a new value for the browser cookie."""
    return os.urandom(BROWSER_BYTES).hex()

"""The connection to a SpiceDB."""

from typing import Any, Final, cast

import grpc
import grpc.aio
import msgspec
from authzed.api import v1

from bayeux_server.errors import LocalError

_LOOPBACK: Final = ("127.", "localhost:", "[::1]:")


class Connection(msgspec.Struct, frozen=True):
    """Where a SpiceDB is, and how to prove ourselves to it.

    Attributes:
        target: ``host:port``.
        token: Its preshared key, sent as a bearer token.
        plaintext: No encryption.
        plaintext_on_network: Allow that beyond loopback, where anybody on the way can read the token.
        timeout_s: Seconds that a call may take; a check that takes longer is not answered.
    """

    target: str
    token: str
    plaintext: bool = False
    plaintext_on_network: bool = False
    timeout_s: float = 2.0

    def __repr__(self) -> str:
        return f"Connection({self.target!r})"


class SpiceDBClient(v1.AsyncClient):
    """authzed's client for asyncio, which here also speaks plaintext and can be closed. Make it on the event loop.

    Every call takes ``metadata=client.metadata``.
    """

    def __init__(self, connection: Connection) -> None:
        if connection.plaintext:
            if not connection.plaintext_on_network and not connection.target.startswith(_LOOPBACK):
                raise LocalError("spicedb: plaintext to another machine must be allowed in words: plaintext_on_network")
            self._channel = grpc.aio.insecure_channel(connection.target)
        else:
            self._channel = grpc.aio.secure_channel(connection.target, grpc.ssl_channel_credentials())
        self.metadata = (("authorization", f"Bearer {connection.token}"),)
        # The base class can only make a channel that is encrypted and that nobody can close; its stubs do for any.
        cast(Any, self).init_stubs(self._channel)

    async def close(self) -> None:
        """Close the connection; calls under way fail."""
        await self._channel.close()

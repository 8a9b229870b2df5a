"""The Bayeux server as the care flow's publisher."""

from typing import Final

from bayeux_server.errors import RemoteError
from bayeux_server.server.bayeux_server import BayeuxServer

_OUT_OF_REACH: Final = 503


class ServerPublisher:
    """See :class:`extensions.careflow.ports.Publisher`."""

    def __init__(self, server: BayeuxServer) -> None:
        self._server = server

    async def publish(self, channel: str, data: bytes, *, kept: bool = True) -> None:
        """See the port. A broker out of reach is no fault of the event: it is tried again."""
        try:
            await self._server.publish(channel, data, kept=kept)
        except RemoteError as error:
            if error.code == _OUT_OF_REACH:
                raise ConnectionError("the broker cannot be reached") from error
            raise

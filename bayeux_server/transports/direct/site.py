"""Where connections come in."""

import asyncio

from aiohttp import web

from bayeux_server.transports.direct.front_door import Doorway


class DoorSite(web.BaseSite):
    """A TCP port of an aiohttp application whose connections come in by a doorway."""

    def __init__(self, runner: web.AppRunner, doorway: Doorway, host: str, port: int, *, backlog: int) -> None:
        super().__init__(runner, backlog=backlog)
        self._doorway = doorway
        self._address = (host, port)

    @property
    def name(self) -> str:
        """Address to show to people."""
        return "http://{}:{}".format(*self._address)

    async def start(self) -> None:
        """Accept connections.

        Raises:
            OSError: If the address cannot be listened on.
        """
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._doorway, *self._address, backlog=self._backlog)

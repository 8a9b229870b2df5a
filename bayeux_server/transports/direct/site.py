"""Where connections come in."""

import asyncio
import socket
from collections.abc import Callable

from aiohttp import web


class DoorSite(web.BaseSite):
    """A TCP port of an aiohttp application whose connections come in by a door of our own.

    Args:
        door: Makes the protocol of a connection.
        send_buffer_bytes: Of the kernel, for each connection; 0 leaves them to it.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        door: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        *,
        backlog: int,
        send_buffer_bytes: int,
    ) -> None:
        super().__init__(runner, backlog=backlog)
        self._door = door
        self._address = (host, port)
        self._send_buffer_bytes = send_buffer_bytes

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
        server = await loop.create_server(self._door, *self._address, backlog=self._backlog, start_serving=False)
        self._server = server
        if self._send_buffer_bytes:
            # What is accepted inherits it, which spares each connection three system calls.
            for listener in server.sockets:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer_bytes)
        await server.start_serving()

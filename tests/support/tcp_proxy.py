"""A TCP proxy that can cut every connection, as a poor network does."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_CHUNK_BYTES = 65_536
#: Close with a reset instead of an orderly end.
_LINGER_NOT = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards bytes to a port of this machine.

    Attributes:
        port: Where it listens.
        refusing: Whether new connections are reset at once.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.refusing = False

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Reset all connections, on both sides, and take no new ones until :meth:`restore`."""
        self.refusing = True
        for writer in list(self._writers):
            _reset(writer)

    def restore(self) -> None:
        """Take connections again."""
        self.refusing = False

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.refusing:
                _reset(writer)
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            pair = {writer, far_writer}
            self._writers |= pair
            try:
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            finally:
                self._writers -= pair
                for end in pair:
                    end.close()
        except OSError:
            _reset(writer)
        finally:
            self._tasks.discard(task)

    async def stop(self) -> None:
        """Cut everything and wait for it to be over."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()


@asynccontextmanager
async def tcp_proxy(target_port: int) -> AsyncIterator[TcpProxy]:
    """Run a proxy to a port for as long as the context is open."""
    proxy = TcpProxy(target_port)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
        await server.wait_closed()

"""A real Redis server."""

import socket

from tests.support.services.packages import require_program
from tests.support.services.service import Service


def install() -> str:
    """Return the path of ``redis-server``, installing it when it is missing."""
    return require_program("redis-server", package="redis-server")


class Redis(Service):
    """One Redis on loopback.

    Args:
        append_only: Keep the data over restarts and crashes, written to the log at every command.
    """

    name = "redis"

    def __init__(self, *, append_only: bool = False) -> None:
        super().__init__()
        self._append_only = append_only

    @property
    def url(self) -> str:
        """Where a client connects."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """Return the command line: no snapshots, and an append-only file where asked for."""
        keep = ["--appendonly", "yes", "--appendfsync", "always"] if self._append_only else ["--appendonly", "no"]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [install(), *place, "--save", "", *keep, "--loglevel", "notice"]

    def is_ready(self) -> bool:
        """Tell whether it answers a PING (it does not while it reads its data)."""
        return self._ask(b"PING\r\n").startswith(b"+PONG")

    def clear(self) -> None:
        """Forget all data, scripts and functions."""
        for request in (b"FLUSHALL SYNC\r\n", b"SCRIPT FLUSH SYNC\r\n", b"FUNCTION FLUSH SYNC\r\n"):
            self._ask(request)

    def _ask(self, request: bytes) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5.0) as connection:
                connection.sendall(request)
                return connection.recv(64)
        except OSError:
            return b""

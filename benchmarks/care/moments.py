"""When each change was due, and when it was committed."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from clients.load.reactor import READ, Reactor

_CHUNK_BYTES = 65_536

Version = tuple[str, int]
"""A task's id and version: what one change made."""


class Moments:
    """Both moments of every change, microseconds since the run's origin; a context manager that closes the pipe.

    The commits come from the server through a named pipe. They are written before the events are sent, so that they
    can be read by the time an event has arrived.

    Attributes:
        due_us: When a change was due to be sent.
        committed_us: When the store had it.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._origin_us = 0
        self._rest = b""
        self.due_us: dict[Version, int] = {}
        self.committed_us: dict[Version, int] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pipe."""
        os.close(self._pipe)

    def watch(self, reactor: Reactor, origin_us: int) -> None:
        """Read whatever comes, from now on."""
        self._origin_us = origin_us
        reactor.watch(self._pipe, READ, lambda _mask: self._read())

    def of_commit(self, change: Version) -> int:
        """Return when a change was committed; raises KeyError if it never was."""
        if change not in self.committed_us:
            self._read()
        return self.committed_us[change]

    def of_wish(self, change: Version) -> int:
        """Return when a change was due to be sent; raises KeyError if it is none of ours."""
        return self.due_us[change]

    def _read(self) -> None:
        try:
            chunk = os.read(self._pipe, _CHUNK_BYTES)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            task_id, version, at_us = line.decode().split()
            self.committed_us[task_id, int(version)] = int(at_us) - self._origin_us

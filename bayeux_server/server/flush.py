"""What is owed to sockets is written once per turn of the loop, however many messages that is."""

from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger()


class Flushable(Protocol):
    """Something with output waiting. ``dirty`` is true from :meth:`Flush.mark` until its ``flush`` runs."""

    dirty: bool

    def flush(self) -> None:
        """Write what is waiting."""


class Flush:
    """The list of all that have output waiting in this turn.

    Joining the frames a socket is owed is the one great saver: a further 300-byte frame in a write costs a tenth of a
    write of its own (``benchmarks/README.md``).

    Args:
        call_soon: Has a callback called later in this turn, such as ``loop.call_soon``.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        #: Fan-out appends here itself, to save a call per subscriber; it then calls :meth:`schedule`.
        self.dirty: list[Flushable] = []
        self._scheduled = False

    def mark(self, item: Flushable) -> None:
        """Have ``item`` flushed at the end of this turn."""
        if not item.dirty:
            item.dirty = True
            self.dirty.append(item)
            self.schedule()

    def schedule(self) -> None:
        """Make sure that :meth:`run` is called in this turn."""
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self.run)

    def run(self) -> None:
        """Flush all that is dirty. One that raises is logged and does not stop the others."""
        self._scheduled = False
        dirty, self.dirty = self.dirty, []
        for item in dirty:
            item.dirty = False
            try:
                item.flush()
            except Exception:
                log.exception("flush.failed")

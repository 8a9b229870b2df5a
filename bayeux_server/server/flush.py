"""What is owed to sockets is written once per turn of the loop, however many messages that is."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

import structlog

from bayeux_server.server.delivery import Delivery, Form

if TYPE_CHECKING:
    from bayeux_server.server.observer import Observer
    from bayeux_server.server.session import ServerSession

log = structlog.get_logger()


class Flushable(Protocol):
    """Something with output waiting. ``dirty`` is true from :meth:`Flush.mark` until its ``flush`` runs."""

    dirty: bool

    def flush(self) -> None:
        """Write what is waiting."""


class _News:
    """Events of this turn that one audience gets, and that are in nobody's queue yet."""

    __slots__ = ("audience", "deliveries")

    def __init__(self, audience: "Collection[ServerSession]", delivery: Delivery) -> None:
        self.audience = audience
        self.deliveries = [delivery]

    def frame(self, form: Form) -> bytes:
        """Return the events in one transport's form, joined."""
        if len(self.deliveries) == 1:
            return self.deliveries[0].form(form)
        return b"".join([delivery.form(form) for delivery in self.deliveries])


class Flush:
    """All that has output waiting in this turn.

    Joining the frames a socket is owed is the one great saver: a further 300-byte frame in a write costs a tenth of a
    write of its own. The other is to leave the queues out: events are kept with their audience, and if that is the only
    one in this turn, and nothing else waits for a session, the joined bytes go to its socket as they are
    (``benchmarks/README.md`` has the figures of both).

    Args:
        call_soon: Has a callback called later in this turn, such as ``loop.call_soon``.
        observer: Told of the bytes that are written past the queues.
        rest: Called in the turn after one with output, when that is written and nothing more is due; see
            :class:`Pace`.
    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        observer: "Observer",
        rest: Callable[[], None] | None = None,
    ) -> None:
        self._call_soon = call_soon
        self._observer = observer
        self._rest = rest
        self._dirty: list[Flushable] = []
        self._news: list[_News] = []
        self._scheduled = False

    def mark(self, item: Flushable) -> None:
        """Have ``item`` flushed at the end of this turn."""
        if not item.dirty:
            item.dirty = True
            self._dirty.append(item)
            self._schedule()

    def announce(self, delivery: Delivery, audience: "Collection[ServerSession]") -> None:
        """Have an event reach ``audience`` at the end of this turn, before what joins their queues from now on."""
        if self._news and self._news[-1].audience is audience:
            self._news[-1].deliveries.append(delivery)
        else:
            self._news.append(_News(audience, delivery))
            self._schedule()

    def settle(self) -> None:
        """Put what was announced into the queues. Who looks into a queue calls this first."""
        news, self._news = self._news, []
        for each in news:
            for session in each.audience:
                self._enqueue(session, each.deliveries)

    def run(self) -> None:
        """Flush all that is dirty. One that raises is logged and does not stop the others."""
        if len(self._news) == 1:
            self._write(self._news.pop())
        else:
            self.settle()  # one session may be in several audiences, and is to get one write
        self._scheduled = False
        dirty, self._dirty = self._dirty, []
        for item in dirty:
            item.dirty = False
            try:
                item.flush()
            except Exception:
                log.exception("flush.failed")
        if self._rest is not None:
            self._call_soon(self._pause)

    def _pause(self) -> None:
        # The loop has looked at the sockets since: what it found and processed is not to wait.
        if self._rest is not None and not self._scheduled:
            self._rest()

    def _write(self, news: _News) -> None:
        """Write news straight to the sockets, and queue them for who has none or has to have something else first."""
        form, frame = None, b""
        written_bytes = 0
        # The hot loop: what stands here is paid for every delivery.
        for session in news.audience:
            outlet = session.outlet
            if outlet is None or session.dirty or session.queued or outlet.is_shut():
                self._enqueue(session, news.deliveries)
                continue
            try:
                if outlet.form is not form:
                    frame = news.frame(outlet.form)
                    form = outlet.form
                outlet.write(frame)
            except Exception:
                log.exception("flush.failed")
            else:
                written_bytes += len(frame)
        self._observer.sent_bytes += written_bytes

    def _enqueue(self, session: "ServerSession", deliveries: list[Delivery]) -> None:
        session.queued += deliveries
        self.mark(session)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self.run)

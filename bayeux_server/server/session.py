"""One client's session: its queue, and the ways out of it."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bayeux_server.protocol.session_state import Event, State, after
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.flush import Flush
from bayeux_server.server.identity import Identity
from bayeux_server.server.limits import Limits
from bayeux_server.server.pipe import Outlet, Pipe, Socket
from bayeux_server.server.timers import Timer

if TYPE_CHECKING:
    from bayeux_server.server.extension import SessionExtension

ID_BYTES: Final = 20  # 160 random bits
SHORT_ID_CHARACTERS: Final = 6


class Hold:
    """A ``/meta/connect`` that waits for its answer.

    Attributes:
        takes_events: Whether the answer carries queued events (HTTP), or they travel on a pipe (WebSocket).
        answer: Sends the answer, with the events it carries. Called once.
    """

    __slots__ = ("answer", "takes_events", "timer")

    def __init__(self, answer: Callable[[list[Delivery], str], None], *, takes_events: bool, timer: Timer) -> None:
        self.answer = answer
        self.takes_events = takes_events
        self.timer = timer


class ServerSession:
    """A session as the server sees it.

    Everything here runs on the event loop and returns at once. A delivery joins :attr:`queue`; the flush at the end of
    the loop's turn writes the queue to the :attr:`pipe`, or answers the held connect with it, or leaves it there: what
    no connection takes waits, within :class:`Limits`.
    """

    __slots__ = (
        "_accounted",
        "_attributes",
        "_dequeue_listeners",
        "_flush",
        "_meta_connect_delivery_only",
        "_on_overflow",
        "_pipe",
        "address",
        "browser",
        "dirty",
        "dropped",
        "expires_at_s",
        "extensions",
        "held",
        "id",
        "identity",
        "is_connected",
        "keeps_taken",
        "limits",
        "offered_browser",
        "outlet",
        "queued",
        "queued_bytes",
        "resume_token",
        "socket",
        "state",
        "subscriptions",
        "timer",
        "transport",
    )

    def __init__(self, flush: Flush, limits: Limits, *, address: str, transport: str) -> None:
        self.id = os.urandom(ID_BYTES).hex()
        self.identity: Identity | None = None
        self.address = address
        self.transport = transport
        self.limits = limits
        self.state = State.NEW
        self.is_connected = False  # whether a first /meta/connect was answered
        #: The queue but for what :class:`Flush` will put there in this turn; only that looks at it.
        self.queued: list[Delivery] = []
        self.queued_bytes = 0
        self._accounted = 0  # how many of the queue are in queued_bytes
        self.dropped = 0
        self.subscriptions: set[str] = set()
        self.held: Hold | None = None
        #: Where :class:`Flush` may write events itself, if all that flush() would do is to push them.
        self.outlet: Outlet | None = None
        self._pipe: Pipe | None = None
        self._meta_connect_delivery_only = False
        #: An extension keeps what was taken until the client confirms it, and puts it back itself.
        self.keeps_taken = False
        self.extensions: tuple[SessionExtension, ...] = ()
        self._dequeue_listeners: tuple[Callable[[list[Delivery]], None], ...] = ()
        #: When a session without a held connect ends, in the clock's seconds, and what will look whether it has to.
        self.expires_at_s = 0.0
        self.timer: Timer | None = None
        self.browser: str | None = None
        self.offered_browser: str | None = None
        self.resume_token: str | None = None
        self.socket: Socket | None = None
        self.dirty = False
        self._flush = flush
        self._attributes: dict[str, Any] | None = None
        self._on_overflow: Callable[[ServerSession, int], None] | None = None

    def __repr__(self) -> str:
        return f"<ServerSession {self.short_id} {self.state.value} {self.transport}>"

    @property
    def short_id(self) -> str:
        """The first characters of the id: enough for a log, not enough to take over the session."""
        return self.id[:SHORT_ID_CHARACTERS]

    @property
    def user_id(self) -> str | None:
        """The authenticated user, None for an anonymous session."""
        return self.identity.user_id if self.identity else None

    @property
    def attributes(self) -> dict[str, Any]:
        """Room for extensions to keep what they know of this session, each under its own name."""
        if self._attributes is None:
            self._attributes = {}
        return self._attributes

    @property
    def is_open(self) -> bool:
        """Whether the session lives: after its handshake, before its end."""
        return self.state is State.WAITING or self.state is State.HOLDING

    @property
    def has_connection(self) -> bool:
        """Whether the client is there now: a pipe, or a connect that is held. Between two long-polls it is not."""
        return self.pipe is not None or self.held is not None

    def on_overflow(self, callback: Callable[["ServerSession", int], None]) -> None:
        """Have ``callback`` called when the queue passes a limit, with how many messages were dropped for it.

        0 means that none may be dropped, and the session has to end.
        """
        self._on_overflow = callback

    def happened(self, event: Event) -> None:
        """Move to the state that follows ``event``."""
        self.state = after(self.state, event)

    # ---- the way out

    @property
    def pipe(self) -> Pipe | None:
        """Where events are pushed, if the client has such a connection."""
        return self._pipe

    @pipe.setter
    def pipe(self, pipe: Pipe | None) -> None:
        self._pipe = pipe
        self._choose_outlet()

    @property
    def meta_connect_delivery_only(self) -> bool:
        """CometD's name: events travel only with connect replies, on every transport. Acknowledging needs that."""
        return self._meta_connect_delivery_only

    @meta_connect_delivery_only.setter
    def meta_connect_delivery_only(self, only: bool) -> None:
        self._meta_connect_delivery_only = only
        self._choose_outlet()

    @property
    def dequeue_listeners(self) -> tuple[Callable[[list[Delivery]], None], ...]:
        """Called with the events that leave the queue, before they are written; may change the list."""
        return self._dequeue_listeners

    @dequeue_listeners.setter
    def dequeue_listeners(self, listeners: tuple[Callable[[list[Delivery]], None], ...]) -> None:
        self._dequeue_listeners = listeners
        self._choose_outlet()

    def _choose_outlet(self) -> None:
        is_plain = not (self._meta_connect_delivery_only or self._dequeue_listeners)
        self.outlet = self._pipe.outlet if self._pipe is not None and is_plain else None

    # ---- in

    @property
    def queue(self) -> list[Delivery]:
        """The events that wait for a connection, oldest first."""
        self._flush.settle()
        return self.queued

    @queue.setter
    def queue(self, deliveries: list[Delivery]) -> None:
        self._flush.settle()
        self.queued = deliveries

    def deliver(self, delivery: Delivery) -> None:
        """Queue an event; it leaves at the end of this turn, if a connection takes it. A lazy one waits for company."""
        self.queue.append(delivery)
        if not delivery.lazy:
            self._flush.mark(self)

    def requeue(self, deliveries: list[Delivery]) -> None:
        """Put events back to the front: they were taken, and did not reach the client as far as we know."""
        if deliveries and self.is_open and not self.keeps_taken:
            self.replace_queue([*deliveries, *self.queue])

    def replace_queue(self, deliveries: list[Delivery]) -> None:
        """Have these events wait for the client, and no others."""
        self.queue = deliveries
        self._recount()
        self._flush.mark(self)

    def cut(self, is_cut: Callable[[Delivery], bool]) -> None:
        """Forget the events that wait for the session and that it may not see any more."""
        self.queue = [delivery for delivery in self.queue if not is_cut(delivery)]
        self._recount()
        for extension in self.extensions:
            extension.cut(is_cut)

    # ---- out

    def flush(self) -> None:
        """Send what is queued by the way that is open, if any."""
        pipe = self._pipe
        queue = self.queue
        if pipe is not None and not self._meta_connect_delivery_only:
            if pipe.writable():
                if self._dequeue_listeners:
                    pipe.push(self.take())
                else:
                    # What take() does, but for the new list: thousands of those a second are work for the collector.
                    pipe.push(queue)
                    queue.clear()
                    self.queued_bytes = self._accounted = 0
                return
            pipe.wait(self)
        elif pipe is not None:
            pipe.push([])  # replies only
        if queue:
            if self.held is not None and self._carries(self.held):
                self.release()
            else:
                self._bound()

    def take(self) -> list[Delivery]:
        """Take all queued events, through the dequeue listeners."""
        taken, self.queue = self.queue, []
        self.queued_bytes = self._accounted = 0
        for listener in self.dequeue_listeners:
            listener(taken)
        return taken

    def hold(self, hold: Hold) -> None:
        """Hold a connect. A connect already held is answered first, as an ordinary empty success."""
        self.release(empty=True)
        self.happened(Event.CONNECT)
        self.held = hold
        if self.queue:
            self._flush.mark(self)

    def release(self, reconnect: str = "retry", *, empty: bool = False) -> None:
        """Answer the held connect, if there is one: with the queued events unless they travel on the pipe."""
        hold = self._let_go()
        if hold is None:
            return
        hold.answer(self.take() if self._carries(hold) and not empty else [], reconnect)

    def cancel_hold(self, hold: Hold) -> bool:
        """Forget a held connect whose connection is gone. Nothing was taken, so nothing is lost.

        Returns:
            Whether it was still held.
        """
        if self.held is not hold:
            return False
        self._let_go()
        return True

    def _carries(self, hold: Hold) -> bool:
        return self.meta_connect_delivery_only or (hold.takes_events and self.pipe is None)

    def _let_go(self) -> Hold | None:
        hold, self.held = self.held, None
        if hold is not None:
            hold.timer.cancel()
            self.happened(Event.RELEASE)
        return hold

    # ---- bounds

    def _recount(self) -> None:
        self.queued_bytes = self._accounted = 0
        self._bound()

    def _bound(self) -> None:
        """Hold the waiting queue to its limits. What leaves at once is never counted: it costs nobody anything."""
        queue, limits = self.queue, self.limits
        self.queued_bytes += sum(delivery.size_bytes for delivery in queue[self._accounted :])
        self._accounted = len(queue)
        if len(queue) <= limits.max_queue_messages and self.queued_bytes <= limits.max_queue_bytes:
            return
        dropped = self._drop_oldest() if limits.drop_oldest else 0
        if self._on_overflow is not None:
            self._on_overflow(self, dropped)

    def _drop_oldest(self) -> int:
        excess = max(0, len(self.queue) - self.limits.max_queue_messages)
        kept_bytes = self.queued_bytes - sum(delivery.size_bytes for delivery in self.queue[:excess])
        while kept_bytes > self.limits.max_queue_bytes:
            kept_bytes -= self.queue[excess].size_bytes
            excess += 1
        del self.queue[:excess]
        self.dropped += excess
        self.queued_bytes, self._accounted = kept_bytes, len(self.queue)
        return excess

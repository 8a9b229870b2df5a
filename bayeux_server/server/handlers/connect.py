"""``/meta/connect``: the heartbeat that is held, and the road of events over HTTP."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.advice import hold_for
from bayeux_server.protocol.messages import Connect
from bayeux_server.protocol.session_state import Event
from bayeux_server.server.core import Core
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.handlers.answered import Answered
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.origin import Origin
from bayeux_server.server.session import Hold, ServerSession

EVENT_SOURCE: Final = "eventsource"

#: Given the events the answer carries and what to advise: ``retry`` or ``none``.
Answer = Callable[[list[Delivery], str], None]


class ConnectHandler:
    """Holds connects, or answers them at once."""

    def __init__(self, core: Core, lifecycle: Lifecycle) -> None:
        self._core = core
        self._lifecycle = lifecycle
        self._held = 0
        self._held_per_browser: Counter[str] = Counter()

    def process(
        self, session: ServerSession, message: Connect, origin: Origin, answer: Answer, *, alone: bool
    ) -> Answered | Hold:
        """Return the connect's answer, or its hold; ``answer`` is called once when that ends.

        Args:
            alone: Whether the request has no other messages. One that has is answered at once.

        Raises:
            RemoteError: 301 for a connection type we do not speak.
        """
        if message.connection_type not in self._core.connection_types:
            raise RemoteError(301, [message.connection_type], "unknown_connection_type")
        session.release(empty=True)  # an older connect makes way, and no longer counts as held
        self._follow(session, message, origin)
        is_first, session.is_connected = not session.is_connected, True
        crowded = self._is_crowded(origin)
        full = self._held >= self._core.bounds.max_held_connects
        if full:
            self._core.observer.shed("too_many_held_connects")
        hold_ms = hold_for(message.advice, hold_timeout_ms=self._core.times.hold_timeout_ms)
        carries = session.meta_connect_delivery_only or session.pipe is None
        if is_first or crowded or full or hold_ms == 0 or not alone or (session.queue and carries):
            return self._answer_now(session, carries=carries, wait=crowded or full, crowded=crowded)
        return self._hold(session, origin, hold_ms, answer)

    def _follow(self, session: ServerSession, message: Connect, origin: Origin) -> None:
        """Have events go where the client is now: it may have hopped to another transport."""
        if origin.pipe is None and message.connection_type == EVENT_SOURCE:
            session.transport = EVENT_SOURCE  # comes by POST, while the events have a stream of their own
            return
        session.transport = origin.transport
        previous, session.pipe, session.socket = session.pipe, origin.pipe, origin.socket
        if previous is not None and previous is not origin.pipe:
            previous.end("superseded")

    def _answer_now(self, session: ServerSession, *, carries: bool, wait: bool, crowded: bool) -> Answered:
        session.happened(Event.CONNECT)
        session.happened(Event.RELEASE)
        interval_ms = self._core.times.multiple_clients_interval_ms if wait else None
        self._lifecycle.expect_connect(session, after_ms=interval_ms or 0)
        deliveries = session.take() if carries else []
        if session.queue:
            self._core.flush.mark(session)  # a pipe takes what waited
        return Answered(deliveries, interval_ms, crowded)

    def _hold(self, session: ServerSession, origin: Origin, hold_ms: int, answer: Answer) -> Hold:
        browser = origin.browser if self._counts(origin) else None
        self._count(browser, 1)

        def let_go(deliveries: list[Delivery], reconnect: str) -> None:
            self._count(browser, -1)
            if session.is_open:
                self._lifecycle.expect_connect(session)
            answer(deliveries, reconnect)

        due_s = self._core.clock.now() + hold_ms / 1_000
        timer = self._core.timers.call_at(due_s, session.release)
        hold = Hold(let_go, takes_events=origin.pipe is None, timer=timer)
        session.hold(hold)
        self._lifecycle.tell_connection(session)
        return hold

    def cancel(self, session: ServerSession, hold: Hold, origin: Origin) -> None:
        """The connection of a held connect is gone: the session has ``max_interval`` to come back."""
        if session.cancel_hold(hold):
            self._count(origin.browser if self._counts(origin) else None, -1)
            self._lifecycle.expect_connect(session)

    def _is_crowded(self, origin: Origin) -> bool:
        limit = self._core.bounds.max_held_per_browser
        return limit >= 0 and self._counts(origin) and self._held_per_browser[origin.browser or ""] >= limit

    def _counts(self, origin: Origin) -> bool:
        return origin.pipe is None and origin.browser is not None and not origin.http2

    def _count(self, browser: str | None, change: int) -> None:
        self._held += change
        self._core.observer.held(change)
        if browser is not None:
            self._held_per_browser[browser] += change
            if not self._held_per_browser[browser]:
                del self._held_per_browser[browser]

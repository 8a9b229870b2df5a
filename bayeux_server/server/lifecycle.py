"""The ends of a session: expiry, disconnect, kick, overflow.

Whatever kills a connection, in whatever state, the session is gone within hold time-out + max_interval: a session that
is not held always has an expiry timer, and a hold always has a time-out.
"""

from functools import partial

import structlog

from bayeux_server.protocol.advice import Reconnect
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import META_DISCONNECT, Publication
from bayeux_server.protocol.session_state import Event, State
from bayeux_server.protocol.wire import encode
from bayeux_server.server.core import Core
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.listeners import tell
from bayeux_server.server.pipe import Pipe
from bayeux_server.server.session import ServerSession

log = structlog.get_logger()


class Lifecycle:
    """Begins and ends sessions."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def new_session(self, *, address: str, transport: str) -> ServerSession:
        """Return a session that is not registered yet."""
        session = ServerSession(self._core.flush, self._core.limits, address=address, transport=transport)
        session.on_overflow(self._overflowed)
        return session

    def expect_connect(self, session: ServerSession, *, after_ms: int = 0) -> None:
        """Give the client ``max_interval`` (and ``after_ms``, if it was told to wait) to send its next connect."""
        due_s = self._core.clock.now() + (self._core.times.max_interval_ms + after_ms) / 1_000
        session.expires_at_s = due_s
        # The timer of an earlier connect looks again at the new time: a poll need not pay for a timer each time.
        if session.timer is None or due_s < session.timer.when_s:
            self._watch_expiry(session)
        self.tell_connection(session)

    def _watch_expiry(self, session: ServerSession) -> None:
        if session.timer is not None:
            session.timer.cancel()
        session.timer = self._core.timers.call_at(session.expires_at_s, partial(self._look_at_expiry, session))

    def _look_at_expiry(self, session: ServerSession) -> None:
        session.timer = None
        if session.state is State.WAITING:  # not while a connect is held: then the silence is ours
            if self._core.clock.now() >= session.expires_at_s:
                self.end(session, Event.EXPIRE, "expired")
            else:
                self._watch_expiry(session)

    def attach(self, session: ServerSession, pipe: Pipe) -> None:
        """Give a session an event stream. A held long-poll is answered: from now on events take the stream."""
        previous, session.pipe = session.pipe, pipe
        session.release(empty=True)
        if previous is not None:
            previous.end("superseded")
        self._core.flush.mark(session)
        self.tell_connection(session)

    def detach(self, session: ServerSession, pipe: Pipe) -> None:
        """A pipe is gone. If the session still used it, what comes next waits in the queue."""
        if session.pipe is pipe:
            session.pipe = None
            session.socket = None
            self.tell_connection(session)

    def tell_connection(self, session: ServerSession) -> None:
        """Have the listeners look whether a session has a connection."""
        tell(self._core.on_connection, session)

    def end(self, session: ServerSession, event: Event, reason: str, *, reconnect: Reconnect = "none") -> None:
        """End a session: it leaves its channels, its held connect is answered, its pipe is closed.

        Args:
            reconnect: What the held connect's reply advises. After ``retry`` the next connect is told to shake hands.
        """
        if not session.is_open:
            return
        # The last events and the last connect reply go out first; then nothing may come back.
        pipe = session.pipe
        if pipe is not None and pipe.writable() and not session.meta_connect_delivery_only:
            pipe.push(session.take())
        session.release(reconnect)
        session.pipe = session.socket = None
        if session.timer is not None:
            session.timer.cancel()
        for name in sorted(session.subscriptions):
            self.unsubscribe(session, name)
        self._core.sessions.remove(session, event, reason)
        session.queue.clear()
        log.info("session.ended", session=session.short_id, reason=reason)
        if pipe is not None:
            pipe.end(reason)

    def disconnect(self, session: ServerSession, reason: str) -> None:
        """End a session from our side: the client is told so, wherever it listens."""
        if not session.is_open:
            return
        if session.meta_connect_delivery_only and session.held is None and session.pipe is not None:
            session.pipe.push([_DisconnectNotice()])  # the events must wait for a connect; this need not
        else:
            session.queue.append(_DisconnectNotice())  # leaves with the last events, by whichever way those go
        self.end(session, Event.DISCONNECT, reason)

    def unsubscribe(self, session: ServerSession, name: str) -> bool:
        """Take a session off a channel and tell the listeners. Returns False if it was not on it."""
        channel = self._core.channels.get(name)
        if channel is None or not self._core.channels.unsubscribe(session, name):
            return False
        tell(self._core.on_unsubscribed, session, channel.id, None)
        return True

    def _overflowed(self, session: ServerSession, dropped: int) -> None:
        self._core.observer.shed("queue_overflow")
        if dropped:
            self._core.observer.dropped(dropped)
            return
        log.warning("session.overflow", session=session.short_id, messages=len(session.queue))
        # Not disconnect(): whoever obeys that stays away, and this client is to come back and replay what it missed.
        self.end(session, Event.DISCONNECT, "queue_overflow", reconnect="retry")


class _DisconnectNotice(Delivery):
    """``/meta/disconnect`` from the server: no event, so without data."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Publication(ChannelId(META_DISCONNECT, ("meta", "disconnect")), b"null"))

    @property
    def json(self) -> bytes:
        """The notice as a JSON object."""
        return encode({"channel": META_DISCONNECT, "successful": True})

"""One WebSocket: events are pushed, the held connect is the heartbeat."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable
from typing import Any

import structlog

from bayeux_server.errors import BodyError, Overloaded
from bayeux_server.protocol.messages import Reply
from bayeux_server.protocol.msgpack_wire import to_json
from bayeux_server.protocol.wire import write
from bayeux_server.server.batch import Outcome
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.origin import Origin
from bayeux_server.server.pipe import Outlet
from bayeux_server.server.session import Hold, ServerSession
from bayeux_server.server.steps import Steps, complete
from bayeux_server.server.timers import Timer
from bayeux_server.transports import frames
from bayeux_server.transports.context import TransportContext
from bayeux_server.transports.frame_reader import FrameReader
from bayeux_server.transports.frame_sink import Frame
from bayeux_server.transports.liveness import Liveness

log = structlog.get_logger()


class WebSocketConnection(asyncio.Protocol):
    """The protocol of a socket once it is upgraded, the pipe of the sessions bound to it, and what they are bound to.

    A frame is processed in the very call that brings it. Only one that has to wait, for a policy or an extension, gets
    a task; what comes behind it waits, and no more is read meanwhile.

    Attributes:
        reader: Takes what is received.
    """

    __deletable__ = ("reader",)  # where it is compiled, that has to be said
    __slots__ = (
        "_array_form",
        "_context",
        "_event_form",
        "_flush",
        "_liveness",
        "_observer",
        "_origin",
        "_packed",
        "_replies",
        "_run",
        "_server",
        "_sessions",
        "_stall_timer",
        "_stalled",
        "_takes_nothing",
        "_transport",
        "_waiting",
        "_work",
        "_write",
        "browser",
        "dirty",
        "outlet",
        "reader",
    )

    def __init__(
        self, context: TransportContext, origin: Origin, transport: asyncio.Transport, *, packed: bool
    ) -> None:
        self._context = context
        self._server = context.server
        self._flush = context.server.core.flush
        self._observer = context.server.core.observer
        self._origin = origin
        origin.pipe = origin.socket = self
        self.browser = origin.browser or origin.offered_browser
        self._transport = transport
        self._write = transport.write  # looked up once, not for every delivery
        self._packed = packed
        self._event_form = frames.packed_event if packed else frames.text_event
        self._array_form = frames.packed_frame if packed else frames.text_frame
        self.outlet = Outlet(self._event_form, transport.write, transport.is_closing)
        self.reader = FrameReader(self._on_frame, self._on_broken, context.settings.max_body_bytes)
        # Lines that are logged for a frame carry the id of the request that opened the socket.
        self._run = contextvars.copy_context().run
        self.dirty = False
        #: Frames of replies, and of the events that must stand right before them.
        self._replies: list[bytes] = []
        self._sessions: dict[ServerSession, Hold | None] = {}
        self._work: asyncio.Task[None] | None = None
        self._waiting: deque[Frame] | None = None
        self._takes_nothing = False
        self._stalled: list[ServerSession] = []
        self._stall_timer: Timer | None = None
        self._liveness = Liveness(
            self._server.core, context.settings, transport, is_needed=self._is_needed, on_idle=self._on_idle
        )
        context.sockets.add(self, origin.address)

    # ---- in

    def data_received(self, data: bytes) -> None:
        """See :meth:`asyncio.Protocol.data_received`."""
        self._observer.received_bytes += len(data)
        self._liveness.heard()
        self._run(self.reader.feed_data, data)

    def _on_frame(self, frame: Frame) -> None:
        kind = frame[0]
        if kind == frames.PING:
            self._write(frames.pong_frame(frame[1]))
        elif kind == frames.PONG or self._transport.is_closing():
            return  # frames behind the one it was closed for are not looked at
        elif self._work is not None or self._takes_nothing:
            self._wait_in_line(frame)
        else:
            self._process(frame)

    def _process(self, frame: Frame) -> None:
        kind, body = frame[0], frame[1]
        if kind == frames.CLOSE:
            self._close(body or frames.CLOSE_NORMAL, "")
        elif (kind == frames.BINARY) != self._packed:
            self._close(frames.CLOSE_UNSUPPORTED, "the other kind of frame was agreed on")
        else:
            self._on_body(body)

    def _on_body(self, body: bytes) -> None:
        self._liveness.message_came()
        try:
            text = to_json(body) if self._packed else body
            if not text or text.isspace():
                return
            outcome, messages = Outcome([], []), self._server.reader.read(text)
            steps = self._server.pipeline.steps(messages, self._origin, self._answer_late, outcome)
            awaited = next(steps, None)
            if awaited is None:
                self._processed(outcome)
            else:
                self._work = asyncio.get_running_loop().create_task(self._go_on(steps, awaited, outcome))
                self._read_on_if_ready()
        except (BodyError, Overloaded) as error:
            self._refuse(error)

    async def _go_on(self, steps: Steps[None], awaited: Awaitable[Any], outcome: Outcome) -> None:
        try:
            await complete(steps, awaited)
            self._processed(outcome)
        except (BodyError, Overloaded) as error:
            self._refuse(error)
        finally:
            self._work = None
        if self._transport.is_closing():
            self._detach_all()  # of a session that connected while the socket went away
        self._next_in_line()

    def _processed(self, outcome: Outcome) -> None:
        session = outcome.session
        if session is not None:
            self._remember(session, outcome.hold)
        if outcome.hold is None:
            self._send(session, outcome.deliveries, outcome.replies)
        if outcome.foreign:
            self._close(frames.CLOSE_POLICY, "")

    def _refuse(self, error: BodyError | Overloaded) -> None:
        if isinstance(error, Overloaded):
            self._observer.shed(str(error))
            self._close(frames.CLOSE_TRY_AGAIN_LATER, str(error))
        else:
            self._observer.unreadable(too_big=error.too_big)
            self._close(frames.CLOSE_TOO_BIG if error.too_big else frames.CLOSE_INVALID_DATA, str(error))

    def _on_broken(self, code: int, reason: str) -> None:
        if code == frames.CLOSE_TOO_BIG:
            self._observer.unreadable(too_big=True)
        self._close(code, reason)

    def _remember(self, session: ServerSession, hold: Hold | None) -> None:
        if session not in self._sessions:
            for ended in [other for other in self._sessions if not other.is_open]:
                del self._sessions[ended]
        self._sessions[session] = hold

    # ---- frames behind one that waits, or from a peer that reads nothing itself

    def _wait_in_line(self, frame: Frame) -> None:
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(frame)

    def _next_in_line(self) -> None:
        while self._waiting and self._work is None and not self._takes_nothing and not self._transport.is_closing():
            self._process(self._waiting.popleft())
        self._read_on_if_ready()

    def _read_on_if_ready(self) -> None:
        if self._transport.is_closing():
            return
        if self._work is not None or self._takes_nothing:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # ---- out

    def writable(self) -> bool:
        """See :meth:`Pipe.writable`."""
        return not self._takes_nothing and not self._transport.is_closing()

    def wait(self, session: ServerSession) -> None:
        """See :meth:`Pipe.wait`."""
        self._stalled.append(session)

    def push(self, deliveries: list[Delivery]) -> None:
        """See :meth:`Pipe.push`. Events go before replies, all in one write."""
        form = self._event_form
        if len(deliveries) == 1 and not self._replies:
            frame = deliveries[0].form(form)  # the commonest case, spared the join
        else:
            output = [delivery.form(form) for delivery in deliveries]
            output += self._replies
            self._replies.clear()
            if not output:
                return
            frame = b"".join(output) if len(output) > 1 else output[0]
        self._observer.sent_bytes += len(frame)
        self._write(frame)

    def flush(self) -> None:
        """Write the replies that belong to no session bound here."""
        self.push([])

    def end(self, reason: str) -> None:
        """See :meth:`Pipe.end`.

        The socket stays after the client's own disconnect, for it may shake hands again on it, and after it went on
        with another connection: what it does with this one is its own business.
        """
        if reason in ("disconnect", "superseded"):
            self.push([])
        else:
            self._close(frames.CLOSE_NORMAL, reason)

    def _send(self, session: ServerSession | None, deliveries: list[Delivery], replies: list[Reply]) -> None:
        """Queue replies, behind the events that travel with them, for the end of this turn."""
        if deliveries:
            self._replies += [delivery.form(self._event_form) for delivery in deliveries]
        self._replies.append(self._array_form(write(replies)))
        self._flush.mark(session if session is not None and session.pipe is self else self)

    def _answer_late(self, session: ServerSession, deliveries: list[Delivery], reply: Reply) -> None:
        self._sessions[session] = None
        self._send(session, deliveries, [reply])

    def _close(self, code: int, reason: str) -> None:
        self.push([])
        if not self._transport.is_closing():
            self._write(frames.close_frame(code, reason))
            self._transport.close()

    def go_away(self) -> None:
        """See :meth:`LastingConnection.go_away`."""
        for session in self._sessions:
            session.release()
        self._close(frames.CLOSE_GOING_AWAY, "the server stops")

    # ---- bounds

    def pause_writing(self) -> None:
        """The peer takes nothing. See :meth:`asyncio.BaseProtocol.pause_writing`."""
        self._takes_nothing = True
        self.outlet.is_shut = _takes_nothing
        due_s = self._server.core.clock.now() + self._context.settings.write_timeout_s
        self._stall_timer = self._server.core.timers.call_at(due_s, self._give_up)
        self._read_on_if_ready()  # a peer that does not read is not read either

    def resume_writing(self) -> None:
        """See :meth:`asyncio.BaseProtocol.resume_writing`."""
        self._takes_nothing = False
        self.outlet.is_shut = self._transport.is_closing
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        stalled, self._stalled = self._stalled, []
        for session in stalled:
            self._flush.mark(session)
        self._next_in_line()

    def _give_up(self) -> None:
        """The peer took nothing for too long. Its sessions keep their queues, and their time to come back."""
        log.warning("socket.write_timeout", address=self._origin.address)
        self._observer.shed("write_timeout")
        self._transport.abort()

    # ---- is the peer there?

    async def alive(self) -> bool:
        """See :meth:`Socket.alive`."""
        return await self._liveness.alive()

    def _is_needed(self) -> bool:
        return any(session.is_open and session.pipe is self for session in self._sessions)

    def _on_idle(self) -> None:
        self._observer.shed("idle_socket")
        self._close(frames.CLOSE_NORMAL, "idle")

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone: what its sessions get next waits in their queues."""
        self._context.sockets.discard(self, self._origin.address)
        self._liveness.close()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        self._detach_all()
        # They refer to us, and what refers to itself waits for the garbage collector.
        del self.reader
        if self._work is None:
            self._origin.pipe = self._origin.socket = None

    def _detach_all(self) -> None:
        for session, hold in self._sessions.items():
            if hold is not None:
                self._server.pipeline.connect.cancel(session, hold, self._origin)
            self._server.lifecycle.detach(session, self)
        self._sessions.clear()


def _takes_nothing() -> bool:
    return True

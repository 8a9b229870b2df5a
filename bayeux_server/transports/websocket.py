"""``websocket``: events are pushed, the held connect is the heartbeat."""

import asyncio
import contextlib
import socket
from collections.abc import Iterable
from typing import cast

import structlog
from aiohttp import WSMsgType, web

from bayeux_server.errors import BodyError, Overloaded
from bayeux_server.protocol.messages import Reply
from bayeux_server.protocol.msgpack_wire import SUBPROTOCOL, to_json
from bayeux_server.protocol.wire import write
from bayeux_server.server.binding import Origin
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.session import Hold, ServerSession
from bayeux_server.server.timers import Timer
from bayeux_server.transports import frames
from bayeux_server.transports.context import TransportContext
from bayeux_server.transports.guard import SocketGuard

log = structlog.get_logger()

#: A client that answers a ping is there. How long it may take to.
ALIVE_TIMEOUT_S = 1.0


async def websocket(context: TransportContext, request: web.Request) -> web.StreamResponse:
    """Serve one WebSocket until it closes."""
    origin = await context.origin(request, "websocket")
    full = context.sockets.full(origin.address)
    if full is not None:
        # Its client stays on long-polling from now on, which is what there is room for.
        context.server.core.observer.shed(full)
        return web.Response(status=503, text=full, headers={"Retry-After": "5"})
    response = web.WebSocketResponse(
        compress=False,  # a frame that many share cannot be compressed for each
        protocols=(SUBPROTOCOL,),
        max_msg_size=context.settings.max_body_bytes,
        heartbeat=context.settings.ping_interval_s,
        timeout=1.0,
    )
    context.offer_browser(response, origin)
    try:
        await response.prepare(request)
    except ConnectionError:
        return response  # gone before it opened
    if request.transport is None:
        return response
    connection = WebSocketConnection(context, origin, response, request.transport)
    context.sockets.add(connection, origin.address)
    try:
        await connection.run()
    finally:
        context.sockets.discard(connection, origin.address)
        connection.closed()
    return response


class WebSocketConnection:
    """One WebSocket: the pipe of the sessions bound to it, and the socket they are bound to."""

    __slots__ = (
        "_array_form",
        "_context",
        "_drained",
        "_event_form",
        "_flush",
        "_heard",
        "_idle_timer",
        "_last_message_s",
        "_observer",
        "_origin",
        "_packed",
        "_replies",
        "_response",
        "_server",
        "_sessions",
        "_stall_timer",
        "_stalled",
        "_transport",
        "_write",
        "browser",
        "dirty",
    )

    def __init__(
        self,
        context: TransportContext,
        origin: Origin,
        response: web.WebSocketResponse,
        transport: asyncio.Transport,
    ) -> None:
        self._context = context
        self._server = context.server
        self._flush = context.server.core.flush
        self._observer = context.server.core.observer
        self._origin = origin
        origin.pipe = origin.socket = self
        self.browser = origin.browser or origin.offered_browser
        self._response = response
        self._transport = transport
        self._write = transport.write  # looked up once, not for every delivery
        self._packed = response.ws_protocol == SUBPROTOCOL
        self._event_form = frames.packed_event if self._packed else frames.text_event
        self._array_form = frames.packed_frame if self._packed else frames.text_frame
        self.dirty = False
        #: Frames of replies, and of the events that must stand right before them.
        self._replies: list[bytes] = []
        self._sessions: dict[ServerSession, Hold | None] = {}
        self._stalled: list[ServerSession] = []
        self._drained: asyncio.Future[None] | None = None
        self._stall_timer: Timer | None = None
        self._heard: asyncio.Future[None] | None = None
        self._last_message_s = self._server.core.clock.now()
        self._idle_timer = self._watch_idleness(self._last_message_s)
        self._guard()

    def _guard(self) -> None:
        raw = self._transport.get_extra_info("socket")
        if raw is not None and self._context.settings.send_buffer_bytes:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._context.settings.send_buffer_bytes)
        inner = cast(asyncio.Protocol, self._transport.get_protocol())
        self._transport.set_protocol(SocketGuard(inner, self._on_data, self._on_paused, self._on_unmasked))

    # ---- in

    async def run(self) -> None:
        """Process frames, one after the other, until the socket closes."""
        while not self._transport.is_closing():  # frames behind the one it was closed for are not looked at
            message = await self._response.receive()
            if message.type is WSMsgType.TEXT and not self._packed:
                await self._on_body(message.data.encode())
            elif message.type is WSMsgType.BINARY and self._packed:
                await self._on_packed(message.data)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._close(frames.CLOSE_UNSUPPORTED, "the other kind of frame was agreed on")
            else:
                return
            if self._drained is not None:
                await self._drained  # a peer that does not read is not read either

    async def _on_packed(self, body: bytes) -> None:
        try:
            text = to_json(body)
        except BodyError as error:
            self._close(frames.CLOSE_INVALID_DATA, str(error))
            return
        await self._on_body(text)

    async def _on_body(self, body: bytes) -> None:
        if not body.strip():
            return
        self._last_message_s = self._server.core.clock.now()
        try:
            batch = self._server.reader.read(body)
            outcome = await self._server.pipeline.process(batch, self._origin, self._answer_late)
        except BodyError as error:
            self._observer.unreadable(too_big=error.too_big)
            self._close(frames.CLOSE_TOO_BIG if error.too_big else frames.CLOSE_INVALID_DATA, str(error))
            return
        except Overloaded as error:
            self._observer.shed(str(error))
            self._close(frames.CLOSE_TRY_AGAIN_LATER, str(error))
            return
        session = outcome.session
        if session is not None:
            self._remember(session, outcome.hold)
        if outcome.hold is None:
            self._send(session, outcome.deliveries, outcome.replies)
        if outcome.foreign:
            self._close(frames.CLOSE_POLICY, "")

    def _remember(self, session: ServerSession, hold: Hold | None) -> None:
        if session not in self._sessions:
            for ended in [other for other in self._sessions if not other.is_open]:
                del self._sessions[ended]
        self._sessions[session] = hold

    def _on_data(self, size_bytes: int) -> None:
        self._observer.received_bytes += size_bytes
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    def _on_unmasked(self) -> None:
        self._close(frames.CLOSE_PROTOCOL_ERROR, "frames of clients are masked")

    # ---- out

    def writable(self) -> bool:
        """See :meth:`Pipe.writable`."""
        return self._drained is None and not self._transport.is_closing()

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
            frame = b"".join(output)
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

    async def alive(self) -> bool:
        """See :meth:`Socket.alive`."""
        if self._heard is None or self._heard.done():
            self._heard = asyncio.get_running_loop().create_future()
            with contextlib.suppress(ConnectionError):
                await self._response.ping()
        try:
            async with asyncio.timeout(ALIVE_TIMEOUT_S):
                await asyncio.shield(self._heard)
        except TimeoutError:
            return False
        return not self._transport.is_closing()

    def _send(self, session: ServerSession | None, deliveries: Iterable[Delivery], replies: list[Reply]) -> None:
        """Queue replies, behind the events that travel with them, for the end of this turn."""
        self._replies += [delivery.form(self._event_form) for delivery in deliveries]
        self._replies.append(self._array_form(write(replies)))
        self._flush.mark(session if session is not None and session.pipe is self else self)

    def _answer_late(self, session: ServerSession, deliveries: list[Delivery], reply: Reply) -> None:
        self._sessions[session] = None
        self._send(session, deliveries, [reply])

    # ---- bounds

    def _on_paused(self, paused: bool) -> None:
        if paused and self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()
            due_s = self._server.core.clock.now() + self._context.settings.write_timeout_s
            self._stall_timer = self._server.core.timers.call_at(due_s, self._give_up)
        elif not paused and self._drained is not None:
            self._drained.set_result(None)
            self._drained = None
            if self._stall_timer is not None:
                self._stall_timer.cancel()
            stalled, self._stalled = self._stalled, []
            for session in stalled:
                self._flush.mark(session)

    def _give_up(self) -> None:
        """The peer took nothing for too long. Its sessions keep their queues, and their time to come back."""
        log.warning("socket.write_timeout", address=self._origin.address)
        self._observer.shed("write_timeout")
        self._transport.abort()

    def _watch_idleness(self, since_s: float) -> Timer:
        due_s = since_s + self._context.settings.idle_socket_timeout_s
        return self._server.core.timers.call_at(due_s, self._check_idleness)

    def _check_idleness(self) -> None:
        now_s = self._server.core.clock.now()
        if any(session.is_open and session.pipe is self for session in self._sessions):
            self._idle_timer = self._watch_idleness(now_s)
        elif now_s >= self._last_message_s + self._context.settings.idle_socket_timeout_s:
            self._observer.shed("idle_socket")
            self._close(frames.CLOSE_NORMAL, "idle")
        else:
            self._idle_timer = self._watch_idleness(self._last_message_s)

    def _close(self, code: int, reason: str) -> None:
        self.push([])
        if not self._transport.is_closing():
            self._transport.write(frames.close_frame(code, reason))
            self._transport.close()

    def go_away(self) -> None:
        """Close because the server stops; the sessions get no second chance here."""
        self._close(frames.CLOSE_GOING_AWAY, "the server stops")

    def closed(self) -> None:
        """The socket is gone: what its sessions get next waits in their queues."""
        self._idle_timer.cancel()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        for session, hold in self._sessions.items():
            if hold is not None:
                self._server.pipeline.connect.cancel(session, hold, self._origin)
            self._server.lifecycle.detach(session, self)
        self._sessions.clear()

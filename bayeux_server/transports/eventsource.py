"""``eventsource``: events on a stream of their own, everything else by POST. Faye's transport."""

import asyncio
import inspect
from typing import Final

from aiohttp import web

from bayeux_server.server.delivery import Delivery
from bayeux_server.server.session import ServerSession
from bayeux_server.transports.context import TransportContext

KEEP_ALIVE_S: Final = 15.0


async def eventsource(context: TransportContext, request: web.Request, client_id: str) -> web.StreamResponse:
    """Serve the event stream of one session."""
    origin = await context.origin(request, "eventsource")
    session = context.server.core.sessions.get(client_id)
    if session is not None:
        allowed = context.server.core.binding.allows(session, origin, None)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        if not allowed or not session.is_open:
            session = None
    if session is None:
        return web.Response(status=404, text="no such session")
    refusal = context.refuse_if_full(origin.address)
    if refusal is not None:
        return refusal
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache, no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",  # nginx would collect events until its buffer is full
        }
    )
    stream = EventStream(context, session)
    context.sockets.add(stream, origin.address)
    try:
        await response.prepare(request)
        context.server.lifecycle.attach(session, stream)
        await stream.run(response)
    except (ConnectionError, asyncio.CancelledError) as error:
        if request.transport is not None:
            request.transport.abort()  # a peer that takes nothing would not take an ending either
        session.requeue(stream.unsent)
        if isinstance(error, asyncio.CancelledError):
            raise
    finally:
        context.sockets.discard(stream, origin.address)
        context.server.lifecycle.detach(session, stream)
    return response


class EventStream:
    """The pipe of one session. See :class:`bayeux_server.server.pipe.Pipe`."""

    outlet = None  # what was not written yet is kept as events, to be given back

    def __init__(self, context: TransportContext, session: ServerSession) -> None:
        self._session = session
        self._observer = context.server.core.observer
        self._clock = context.server.core.clock
        self._timers = context.server.core.timers
        self._write_timeout_s = context.settings.write_timeout_s
        self.unsent: list[Delivery] = []
        self._ended = False
        self._wake = asyncio.Event()
        self._waiting: ServerSession | None = None
        self._is_writing = True

    def writable(self) -> bool:
        """See :meth:`Pipe.writable`: nothing more while a slow peer has not taken the last."""
        return not self._is_writing and not self.unsent

    def wait(self, session: ServerSession) -> None:
        """See :meth:`Pipe.wait`."""
        self._waiting = session

    def push(self, deliveries: list[Delivery]) -> None:
        """See :meth:`Pipe.push`."""
        if deliveries:
            self.unsent += deliveries
            self._wake.set()

    def end(self, reason: str) -> None:
        """See :meth:`Pipe.end`."""
        self._ended = True
        self._wake.set()

    def go_away(self) -> None:
        """See :meth:`LastingConnection.go_away`."""
        self._session.release()
        self.end("the server stops")

    async def run(self, response: web.StreamResponse) -> None:
        """Write what is pushed until the session or the connection ends.

        Raises:
            ConnectionError: If the connection is gone; :attr:`unsent` did not reach the client.
        """
        try:
            await self._write_all(response)
        except TimeoutError:
            self._observer.shed("write_timeout")
            raise ConnectionResetError("the client took nothing for too long") from None

    async def _write_all(self, response: web.StreamResponse) -> None:
        await self._write(response, b":\n\n")
        while not self._ended or self.unsent:
            self._is_writing = False
            if self._waiting is not None:
                session, self._waiting = self._waiting, None
                session.flush()
            await self._pause()
            self._is_writing = True
            if self.unsent:
                array = b",".join(delivery.json for delivery in self.unsent)
                await self._write(response, b"data: [%b]\n\n" % array)
                self.unsent = []
            elif not self._ended:
                await self._write(response, b":\n\n")

    async def _write(self, response: web.StreamResponse, text: bytes) -> None:
        self._observer.sent_bytes += len(text)
        async with asyncio.timeout(self._write_timeout_s):
            await response.write(text)

    async def _pause(self) -> None:
        """Wait for something to write, or for the time of a comment that keeps proxies from closing the stream."""
        timer = self._timers.call_at(self._clock.now() + KEEP_ALIVE_S, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
        self._wake.clear()

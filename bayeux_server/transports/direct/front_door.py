"""The protocol of every new connection: serves plain requests to the mount, gives everything else to aiohttp."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol, cast

import structlog

from bayeux_server.server.origin import Origin, new_browser
from bayeux_server.server.timers import Timer
from bayeux_server.transports.context import TransportContext, came_by_http2
from bayeux_server.transports.direct.exchange import Entry, Exchange
from bayeux_server.transports.direct.head import Head
from bayeux_server.transports.direct.plain_request import PlainRequest, RequestReader
from bayeux_server.transports.direct.responses import Responses
from bayeux_server.transports.upgrade import accept, chosen_protocol, is_key
from bayeux_server.transports.websocket_connection import WebSocketConnection

#: How long a connection may have nothing to say; longer than proxies keep theirs, as aiohttp has it.
KEEP_ALIVE_S: Final = 3_630.0


def _logged_id() -> ContextVar[str]:
    """Return the variable whose value structlog adds to every line as ``request_id``.

    To set it costs a tenth of what binding a value by structlog's own functions does, in a context copied for it.
    """
    token = structlog.contextvars.bind_contextvars(request_id="")["request_id"]
    token.var.reset(token)
    return token.var


_LOGGED_ID: Final = _logged_id()


class RequestBook(Protocol):
    """Names and logs requests; :class:`bayeux_server.request_log.RequestLog` does.

    Attributes:
        enabled: Whether :meth:`ended` wants to be called.
    """

    enabled: bool

    def name(self, given: str | None) -> str:
        """Return a request's id, given the one it brought."""

    def ended(
        self,
        *,
        request_id: str,
        method: str,
        route: str,
        address: str,
        request_bytes: int,
        began_s: float,
        status: int,
        response_bytes: int,
    ) -> None:
        """Take down a request that was answered."""


class Doorway:
    """What the connections of a server share, and the factory of their protocols.

    Args:
        mount: Path of the Bayeux end point.
        make_http: Makes aiohttp's protocol for a connection.
        requests: Names and logs requests.
    """

    def __init__(
        self,
        context: TransportContext,
        mount: str,
        make_http: Callable[[], asyncio.Protocol],
        requests: RequestBook,
    ) -> None:
        self.context = context
        self.make_http = make_http
        self.requests = requests
        self.responses = Responses(context.server.core.clock)
        self.mount = mount
        self._path = mount.encode()
        self._below = self._path + b"/"
        self._doors: set[FrontDoor] = set()

    def __call__(self) -> "FrontDoor":
        """Return the protocol of a new connection."""
        return FrontDoor(self, self._doors)

    def takes(self, request: PlainRequest) -> bool:
        """Whether a request may go the short road: a POST with no other site behind it, or an upgrade that may be."""
        path = request.path
        if (path != self._path and not path.startswith(self._below)) or b"?" in path:
            return False
        is_wanted = request.is_websocket_upgrade if request.is_upgrade else request.method == b"POST" and request.body
        if not is_wanted or not request.header(b"host") or len(request.body) > self.context.settings.max_body_bytes:
            return False
        if request.is_upgrade and request.header(b"origin"):  # CORS has no say in upgrades, the allow-list has
            origin, host = (request.header(name).decode("latin-1").lower() for name in (b"origin", b"host"))
            return self.context.origins.is_allowed(origin, host)
        return request.is_from_this_origin

    def route_of(self, request: PlainRequest) -> str:
        """Return the route's pattern, as aiohttp has it: what stands below the mount may be a clientId."""
        return self.mount if len(request.path) == len(self.mount) else self.mount + "/{rest}"

    def close(self) -> None:
        """Close the connections that are left, once what was written to them has gone out."""
        for door in list(self._doors):
            door.close()


class FrontDoor(asyncio.Protocol):
    """One connection, until it is upgraded or given away."""

    __slots__ = (
        "_behind",
        "_context",
        "_doors",
        "_doorway",
        "_exchange",
        "_head",
        "_last_heard_s",
        "_reader",
        "_timer",
        "_transport",
    )

    def __init__(self, doorway: Doorway, doors: "set[FrontDoor]") -> None:
        self._doorway = doorway
        self._context = doorway.context
        self._doors = doors
        self._reader = RequestReader()
        self._exchange: Exchange | None = None
        self._head: Head | None = None
        self._behind = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :meth:`asyncio.BaseProtocol.connection_made`."""
        self._transport = cast(asyncio.Transport, transport)
        self._doors.add(self)
        self._last_heard_s = self._context.server.core.clock.now()
        self._timer = self._watch()

    def data_received(self, data: bytes) -> None:
        """See :meth:`asyncio.Protocol.data_received`."""
        if self._transport.is_closing():
            return
        if self._exchange is not None:
            # The next request before the last is answered: no stock client does that, and it may wait.
            self._behind += data
            self._transport.pause_reading()
            return
        self._last_heard_s = self._context.server.core.clock.now()
        if self._head is not None and self._head.is_of(data):
            self._post(self._head, data[len(self._head.text) :])
            return
        request = self._reader.read(data)
        if request is None or not self._doorway.takes(request) or not self._serve(request):
            self._give_away(data)

    def _serve(self, request: PlainRequest) -> bool:
        """Serve a request. Returns False if it is aiohttp's after all."""
        try:
            head = self._read_head(request)
        except ValueError:
            return False
        if request.is_upgrade:
            return self._upgrade(head, request)
        self._head = head
        self._post(head, request.body)
        return True

    def _read_head(self, request: PlainRequest) -> Head:
        given_id = request.headers.get(b"x-request-id")
        peer = self._transport.get_extra_info("peername")[0]
        return Head(
            text=request.head,
            size_bytes=len(request.head) + len(request.body),
            method=request.method.decode(),
            route=self._doorway.route_of(request),
            is_json=request.is_json,
            address=self._context.address_of(peer, request.header(b"x-forwarded-for").decode("latin-1")),
            browser=request.browser(),
            given_id=None if given_id is None else given_id.decode(),
            is_http2=came_by_http2(request.header(b"via").decode("latin-1")),
        )

    def _origin(self, head: Head, transport: str) -> Origin:
        # A browser that has no cookie yet is offered one for each request: behind a proxy the next may be another's.
        offered = None if head.browser else new_browser()
        return Origin(transport, head.address, head.browser, offered, http2=head.is_http2)

    def _entry(self, head: Head, request_id: str) -> Entry | None:
        if not self._doorway.requests.enabled:
            return None
        return partial(
            self._doorway.requests.ended,
            request_id=request_id,
            method=head.method,
            route=head.route,
            address=head.address,
            request_bytes=head.size_bytes - len(head.text),
            began_s=self._last_heard_s,
        )

    def _upgrade(self, head: Head, request: PlainRequest) -> bool:
        key = request.header(b"sec-websocket-key")
        if not is_key(key) or self._context.sockets.full(head.address) is not None:
            return False
        request_id = self._doorway.requests.name(head.given_id)
        origin = self._origin(head, "websocket")
        protocol = chosen_protocol(request.header(b"sec-websocket-protocol").decode("latin-1"))
        cookie = self._context.browser_cookie(origin)
        self._transport.write(self._doorway.responses.switching(accept(key), protocol, cookie, request_id))
        entry = self._entry(head, request_id)
        self._leave()
        before = _LOGGED_ID.set(request_id)
        try:
            if entry is not None:
                entry(status=HTTPStatus.SWITCHING_PROTOCOLS, response_bytes=0)
            connection = WebSocketConnection(self._context, origin, self._transport, packed=protocol is not None)
        finally:
            _LOGGED_ID.reset(before)
        self._transport.set_protocol(connection)
        if request.behind:
            connection.data_received(request.behind)
        return True

    def _post(self, head: Head, body: bytes) -> None:
        request_id = self._doorway.requests.name(head.given_id)
        self._exchange = Exchange(
            self._context,
            self._doorway.responses,
            self._transport,
            self._origin(head, "long-polling" if head.is_json else "cross-origin-long-polling"),
            request_id,
            self._entry(head, request_id),
            self._answered,
        )
        before = _LOGGED_ID.set(request_id)
        try:
            self._exchange.begin(body, is_json=head.is_json)
        finally:
            _LOGGED_ID.reset(before)

    def _answered(self) -> None:
        self._exchange = None
        if self._behind:
            data, self._behind = self._behind, b""
            self._transport.resume_reading()
            self.data_received(data)

    def _give_away(self, data: bytes) -> None:
        """From here on the connection is aiohttp's, beginning with this request."""
        self._leave()
        http = self._doorway.make_http()
        http.connection_made(self._transport)
        self._transport.set_protocol(http)
        http.data_received(data)

    # ---- the connection itself

    def pause_writing(self) -> None:
        """See :meth:`asyncio.BaseProtocol.pause_writing`."""
        if self._exchange is not None:
            self._exchange.pause_writing()

    def resume_writing(self) -> None:
        """See :meth:`asyncio.BaseProtocol.resume_writing`."""
        if self._exchange is not None:
            self._exchange.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See :meth:`asyncio.BaseProtocol.connection_lost`."""
        self._leave()
        if self._exchange is not None:
            self._exchange.connection_lost()

    def close(self) -> None:
        """Close, once what was written has gone out."""
        self._transport.close()

    def _leave(self) -> None:
        self._doors.discard(self)
        self._timer.cancel()
        self._reader.close()

    def _watch(self) -> Timer:
        return self._context.server.core.timers.call_at(self._last_heard_s + KEEP_ALIVE_S, self._check_idleness)

    def _check_idleness(self) -> None:
        if self._exchange is not None:
            self._last_heard_s = self._context.server.core.clock.now()
        if self._context.server.core.clock.now() >= self._last_heard_s + KEEP_ALIVE_S:
            self._transport.close()
        else:
            self._timer = self._watch()

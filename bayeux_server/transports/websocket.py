"""``websocket``: the upgrade. What comes after it is :mod:`bayeux_server.transports.websocket_connection`."""

from aiohttp import web

from bayeux_server.protocol.msgpack_wire import SUBPROTOCOL
from bayeux_server.transports.context import TransportContext
from bayeux_server.transports.upgrade import accept
from bayeux_server.transports.websocket_connection import WebSocketConnection


async def websocket(context: TransportContext, request: web.Request) -> web.StreamResponse:
    """Answer an upgrade, and take the connection over from aiohttp."""
    origin = await context.origin(request, "websocket")
    refusal = context.refuse_if_full(origin.address)
    if refusal is not None:
        return refusal
    negotiated = web.WebSocketResponse(protocols=(SUBPROTOCOL,)).can_prepare(request)
    if not negotiated.ok:
        return web.Response(status=400, text="this is no WebSocket handshake of version 13")
    response = _switching(request.headers["Sec-WebSocket-Key"], negotiated.protocol)
    context.offer_browser(response, origin)
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return response  # gone before it opened
    if request.transport is not None:
        connection = WebSocketConnection(context, origin, request.transport, packed=negotiated.protocol == SUBPROTOCOL)
        request.transport.set_protocol(connection)
        _release(request, connection)
    return response


def _switching(key: str, protocol: str | None) -> web.StreamResponse:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept(key.encode())}
    if protocol is not None:
        headers["Sec-WebSocket-Protocol"] = protocol
    response = web.StreamResponse(status=101, headers=headers)
    response.force_close()  # no second request comes on this connection
    return response


def _release(request: web.Request, connection: WebSocketConnection) -> None:
    """Have aiohttp forget the connection.

    aiohttp would keep a parser, a task, a request and its headers for every socket, and wake a task for every frame:
    half of an idle socket's memory and a third of what a small publish costs (``benchmarks/README.md``).
    """
    http = request.protocol
    http.set_parser(_Behind(connection))  # type: ignore[arg-type]  # it asks no more of one
    http.transport = None
    # Once its task has ended aiohttp is told what it is told of every connection that is gone.
    request.task.add_done_callback(lambda _: http.connection_lost(None))


class _Behind:
    """Takes what came right behind the request, for aiohttp hands that to a parser only."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection

    def feed_data(self, data: bytes) -> None:
        self._connection.data_received(data)

    def feed_eof(self) -> None:
        """Nothing to be done: the connection hears that it is lost by itself."""

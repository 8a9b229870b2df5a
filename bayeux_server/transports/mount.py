"""The Bayeux end point: every request to the mount finds its transport here."""

from pathlib import Path

from aiohttp import web

from bayeux_server.transports.callback_polling import callback_polling
from bayeux_server.transports.context import TransportContext
from bayeux_server.transports.eventsource import eventsource
from bayeux_server.transports.long_polling import long_polling
from bayeux_server.transports.websocket import websocket


class Mount:
    """Handles the mount, with or without a trailing slash, and all below it as one end point.

    Args:
        path: Such as ``/bayeux``.
        script: The stock Faye browser client, served where Faye pages look for it; None if it is not installed.
    """

    def __init__(self, context: TransportContext, path: str, script: Path | None) -> None:
        self._context = context
        self._path = path
        self._script = script

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            route
            for path in (self._path, self._path + "/{rest:.*}")
            for route in (web.post(path, self.post), web.get(path, self.get, allow_head=False))
        ] + [web.get(self._path + ".js", self.client_script)]

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tell caches that the reply depends on who asked. A signal handler for every response of an application."""
        if request.path == self._path or request.path.startswith(self._path + "/"):
            response.headers.add("Vary", "Origin")

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Messages by POST, or a refusal before anything is read."""
        if not self._context.origins.allows(request):
            return web.Response(status=403, text="this origin is not allowed")
        return await long_polling(self._context, request)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket, an event stream, a JSONP call, or the client script."""
        if not self._context.origins.allows(request):
            return web.Response(status=403, text="this origin is not allowed")
        rest = request.match_info.get("rest", "")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await websocket(self._context, request)
        if rest == "client.js":
            return await self.client_script(request)
        if rest and "text/event-stream" in request.headers.get("Accept", ""):
            return await eventsource(self._context, request, rest)
        if "message" in request.query:
            return await callback_polling(self._context, request)
        return web.Response(status=400, text="a Bayeux end point: messages come by POST, WebSocket or JSONP")

    async def client_script(self, _request: web.Request) -> web.StreamResponse:
        """The stock Faye client."""
        if self._script is None:
            return web.Response(status=404, text="the Faye client is not installed: npm ci in clients/web")
        return web.FileResponse(self._script, headers={"Content-Type": "text/javascript; charset=utf-8"})

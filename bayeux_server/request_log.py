"""A request id for every HTTP request, and one structured line about it. Never a payload, a token or a session's id.

The id is bound to the log's context, so that every line a request causes carries it, and is sent back to the client.
Nothing here is called again once a WebSocket or an event stream is open.
"""

import itertools
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web
from multidict import MultiMapping

from bayeux_server.server.clock import Clock

log = structlog.get_logger()

HEADER: Final = "X-Request-ID"
REQUEST_ID: Final = web.RequestKey("request_id", str)

#: What a proxy in front may call a request: nothing that could break out of a log line or a header.
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROCESS_BYTES: Final = 4
#: A parameter's name is shown only if it looks like one: in a mistyped address it may be a secret.
_SANE_NAME: Final = re.compile(r"[A-Za-z_]{1,24}")
_MAX_NAMES: Final = 10
_REDACTED: Final = "-"

#: Asked every few seconds by machines.
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RequestLog:
    """Names requests, and logs each when it ends.

    An event stream is one request: its line comes when it closes, and tells how long it was open. A WebSocket's comes
    when it has opened.

    Args:
        address: Returns the client's address, proxies seen through.
        enabled: Whether requests are logged; they are named in any case.
    """

    def __init__(self, clock: Clock, address: Callable[[web.Request], str], *, enabled: bool) -> None:
        self._clock = clock
        self._address = address
        self.enabled = enabled
        self._own_ids = secrets.token_hex(_PROCESS_BYTES)
        self._numbers = itertools.count()

    def add_to(self, app: web.Application) -> None:
        """Have an application's requests pass through here. Add it first: what follows is inside."""

        @web.middleware
        async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._handle(request, handler)

        app.middlewares.append(handle)
        app.on_response_prepare.append(self._name)

    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = request[REQUEST_ID] = self.name(request.headers.get(HEADER))
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            if not self.enabled:
                return await handler(request)
            return await self._logged(request, handler)

    async def _logged(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began_s = self._clock.now()
        status, size_bytes = 499, 0  # nginx's number for a client that hung up
        try:
            response = await handler(request)
            status, size_bytes = response.status, response.body_length
            return response
        except web.HTTPException as refusal:
            status = refusal.status
            raise
        except Exception:
            status = 500
            raise
        finally:
            self.ended(
                request_id=request[REQUEST_ID],
                method=request.method,
                route=_route(request),
                query=_query(request.query),
                address=self._address(request),
                request_bytes=request.content_length or 0,
                began_s=began_s,
                status=status,
                response_bytes=size_bytes,
            )

    def name(self, given: str | None) -> str:
        """Return a request's id: the one a proxy gave it if that is sane, else a new one."""
        if given is not None and _SANE_ID.fullmatch(given):
            return given
        # No secret: it must only be another one than those of this and of other processes.
        return f"{self._own_ids}{next(self._numbers):08x}"

    def ended(
        self,
        *,
        request_id: str,
        method: str,
        route: str,
        query: str | None = None,
        address: str,
        request_bytes: int,
        began_s: float,
        status: int,
        response_bytes: int,
    ) -> None:
        """Log a request that was answered, or whose client hung up (499), unless requests are not logged."""
        if not self.enabled:
            return
        write = log.debug if route in _PROBES else log.info
        write(
            "request",
            request_id=request_id,
            method=method,
            route=route,
            query=query,
            status=status,
            duration_ms=round((self._clock.now() - began_s) * 1_000, 1),
            request_bytes=request_bytes,
            response_bytes=response_bytes,
            address=address,
        )

    async def _name(self, request: web.Request, response: web.StreamResponse) -> None:
        request_id = request.get(REQUEST_ID)
        if request_id is not None:
            response.headers[HEADER] = request_id


def _route(request: web.Request) -> str:
    """Return the route's pattern: what stands in its place may be a clientId or name a patient."""
    resource = request.match_info.route.resource
    return "(none)" if resource is None else resource.canonical


def _query(query: MultiMapping[str]) -> str | None:
    """Return the names of a query's parameters. JSONP sends its messages, and with them its session, as values."""
    names = list(query)[:_MAX_NAMES]
    return "&".join(f"{name if _SANE_NAME.fullmatch(name) else _REDACTED}={_REDACTED}" for name in names) or None

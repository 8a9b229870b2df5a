"""What the transports share: the server, its settings, and who a request comes from."""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from bayeux_server.errors import RemoteError
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.identity import Identity
from bayeux_server.server.origin import Origin, new_browser
from bayeux_server.transports.open_sockets import OpenSockets
from bayeux_server.transports.origins import OriginPolicy

BROWSER_COOKIE: Final = "BAYEUX_BROWSER"

#: Finds who a bearer token belongs to, None if it proves nothing.
TokenReader = Callable[[str], Awaitable[Identity | None]]


class WireSettings(msgspec.Struct, frozen=True):
    """What the transports are told.

    Attributes:
        max_body_bytes: Of a request body, also after inflating, and of a WebSocket message.
        ping_interval_s: Between protocol pings; a pong must come within half of it.
        idle_socket_timeout_s: How long a WebSocket without a session stays.
        write_timeout_s: How long a peer may take nothing of what is written to it.
        max_sockets: WebSockets and event streams open at once.
        max_sockets_per_address: The same of one address.
        cross_site_cookie: Make the browser cookie usable from pages on other sites (needs HTTPS).
        trusted_proxies: Addresses whose X-Forwarded-For is believed.
    """

    max_body_bytes: int = 1_048_576
    ping_interval_s: float = 25.0
    idle_socket_timeout_s: float = 120.0
    write_timeout_s: float = 30.0
    max_sockets: int = 100_000
    max_sockets_per_address: int = 10_000
    cross_site_cookie: bool = False
    trusted_proxies: tuple[str, ...] = ()


class TransportContext:
    """Given to every transport by the composition root."""

    def __init__(
        self, server: BayeuxServer, settings: WireSettings, origins: OriginPolicy, read_token: TokenReader | None
    ) -> None:
        self.server = server
        self.settings = settings
        self.origins = origins
        self.sockets = OpenSockets(settings.max_sockets, settings.max_sockets_per_address)
        self._read_token = read_token
        self._proxies = frozenset(settings.trusted_proxies)

    async def origin(self, request: web.Request, transport: str) -> Origin:
        """Return who sent a request, by its address, cookie and credentials."""
        browser = request.cookies.get(BROWSER_COOKIE) or None
        return Origin(
            transport=transport,
            address=self.address(request),
            browser=browser,
            offered_browser=None if browser else new_browser(),
            identity=await self._identity(request),
            token=_bearer(request),
            http2=came_by_http2(request.headers.get("Via", "")),
        )

    def refuse_if_full(self, address: str) -> web.Response | None:
        """Return the refusal of one more WebSocket or event stream of an address, None if there is room.

        Its client goes on by long-polling, which is what there is room for.
        """
        full = self.sockets.full(address)
        if full is None:
            return None
        self.server.core.observer.shed(full)
        return web.Response(status=503, text=full, headers={"Retry-After": "5"})

    async def identify(self, request: web.Request) -> Identity | None:
        """Return whom the bearer token of a request names, None if it has none, or one that nobody knows.

        Raises:
            RemoteError: 401 with the reason why the token is not good, or 503 if that cannot be known now.
        """
        token = _bearer(request)
        return await self._read_token(token) if token is not None and self._read_token is not None else None

    async def _identity(self, request: web.Request) -> Identity | None:
        # Bayeux has its own answers for who is nobody.
        try:
            return await self.identify(request)
        except RemoteError:
            return None

    def address(self, request: web.Request) -> str:
        """Return the address of the client behind a request. See :meth:`address_of`."""
        return self.address_of(request.remote or "", request.headers.get("X-Forwarded-For", ""))

    def address_of(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the last one in X-Forwarded-For that no trusted proxy added."""
        address = peer
        if address not in self._proxies:
            return address
        for hop in reversed(forwarded_for.split(",")):
            hop = hop.strip()
            if not _is_address(hop):
                break
            address = hop
            if hop not in self._proxies:
                break
        return address

    def offer_browser(self, response: web.StreamResponse, origin: Origin) -> None:
        """Set the cookie a session is bound to, where the request brought none."""
        cookie = self.browser_cookie(origin)
        if cookie is not None:
            response.headers.add("Set-Cookie", cookie)

    def browser_cookie(self, origin: Origin) -> str | None:
        """Return the Set-Cookie header, None where the request brought a cookie. See ``server/binding.py``."""
        if origin.offered_browser is None:
            return None
        site = "SameSite=None; Secure; Partitioned" if self.settings.cross_site_cookie else "SameSite=Lax"
        return f"{BROWSER_COOKIE}={origin.offered_browser}; HttpOnly; Path=/; {site}"


def came_by_http2(via: str) -> bool:
    """Whether a proxy says that a request reached it by HTTP/2 or a later version; we ourselves speak 1.1.

    Source: RFC 9110, 7.6.3: the first entry is the proxy nearest to the browser, and begins with what it was spoken to.
    """
    return via.lstrip().upper().removeprefix("HTTP/")[:1] in ("2", "3")


def _bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

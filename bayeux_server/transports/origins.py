"""Which pages may talk to the server: one list for HTTP, JSONP and the WebSocket upgrade."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web

ANY = "*"


class OriginPolicy:
    """The allow-list.

    Args:
        allowed: Origins such as ``https://app.example.org``; ``*`` for any.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        #: As browsers write them.
        self.allowed = tuple(origin.rstrip("/").lower() for origin in allowed)
        self._exact = frozenset(self.allowed)

    def allows(self, request: web.Request) -> bool:
        """Whether the page behind a request may use the server. Its own origin always may.

        A script tag (JSONP) sends no Origin: there the Referer tells, and a browser that says "cross-site" and hides
        where from is refused. Whatever is no browser sends neither, and may.
        """
        origin = request.headers.get("Origin")
        if origin is None:
            referer = request.headers.get("Referer")
            if referer is None:
                return ANY in self._exact or request.headers.get("Sec-Fetch-Site") != "cross-site"
            parts = urlsplit(referer)
            origin = f"{parts.scheme}://{parts.netloc}"
        return self.is_allowed(origin.lower(), request.host.lower())

    def is_allowed(self, origin: str, host: str) -> bool:
        """Whether pages of an origin may use the server that they call by ``host``; both in lower case."""
        if origin in self._exact or (ANY in self._exact and origin != "null"):
            return True
        return urlsplit(origin).netloc == host

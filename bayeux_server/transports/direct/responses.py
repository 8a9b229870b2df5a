"""Responses as bytes, with the headers aiohttp's road gives them."""

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from bayeux_server.server.clock import Clock

#: What responses on both roads call us: no versions, which would say what holes to try.
SERVER: Final = "bayeux-server"

_EACH: Final = f"Server: {SERVER}\r\nVary: Origin\r\n"
_COMMON: Final = f"{_EACH}Cache-Control: no-cache, no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-ID: "


def _status_line(status: HTTPStatus) -> str:
    return f"HTTP/1.1 {status.value} {status.phrase}"


_OK: Final = _status_line(HTTPStatus.OK)  # what it is made of takes an enumeration a microsecond to find


class Responses:
    """Makes responses."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1
        self._date = ""

    def json(self, array: bytes, cookie: str | None, request_id: str) -> bytes:
        """Return a JSON array as a response."""
        return self._response(HTTPStatus.OK, "application/json", array, cookie, request_id)

    def text(self, status: HTTPStatus, text: str, request_id: str) -> bytes:
        """Return a refusal, with a word of why."""
        return self._response(status, "text/plain", text.encode(), None, request_id)

    def switching(self, accept: str, protocol: str | None, cookie: str | None, request_id: str) -> bytes:
        """Return the answer to an upgrade."""
        chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        head = (
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n{chosen}{_cookie(cookie)}{_EACH}"
            f"X-Request-ID: {request_id}\r\nDate: {self._now()}\r\n\r\n"
        )
        return head.encode("latin-1")

    def _response(self, status: HTTPStatus, kind: str, body: bytes, cookie: str | None, request_id: str) -> bytes:
        retry = "Retry-After: 5\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
        line = _OK if status is HTTPStatus.OK else _status_line(status)
        head = (
            f"{line}\r\nContent-Type: {kind}; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\n{_COMMON}{request_id}\r\n{retry}{_cookie(cookie)}"
            f"Date: {self._now()}\r\n\r\n"
        )
        return head.encode("latin-1") + body

    def _now(self) -> str:
        second = int(self._clock.wall())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date


def _cookie(cookie: str | None) -> str:
    return f"Set-Cookie: {cookie}\r\n" if cookie else ""

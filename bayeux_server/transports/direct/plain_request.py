"""Requests that need no web framework, read by the parser that uvicorn uses."""

import re
from dataclasses import dataclass
from typing import Final

import httptools

from bayeux_server.transports.context import BROWSER_COOKIE

#: Beyond these bytes a request's head is aiohttp's business, which knows the limits for it.
MAX_HEAD_BYTES: Final = 8_192

#: What asks for more than we do here: other framings, credentials that have to be verified.
_NOT_PLAIN: Final = frozenset((b"transfer-encoding", b"content-encoding", b"expect", b"authorization", b"trailer"))
_COOKIE: Final = re.compile(rb"(?:^|; ?)%b=([A-Za-z0-9_-]{1,64})(?=;|$)" % BROWSER_COOKIE.encode())


@dataclass
class PlainRequest:
    """A request that was received whole.

    Attributes:
        head: All that stands before the body.
        headers: By lower-case name; none of them came twice.
        behind: What came behind an upgrade.
    """

    head: bytes
    method: bytes
    path: bytes
    headers: dict[bytes, bytes]
    body: bytes
    is_upgrade: bool
    behind: bytes

    def header(self, name: bytes) -> bytes:
        """Return the value of a header, empty if there is none."""
        return self.headers.get(name, b"")

    @property
    def is_json(self) -> bool:
        """Whether the body is called JSON. Everything else is a form."""
        return self.header(b"content-type").partition(b";")[0].strip().lower() == b"application/json"

    @property
    def is_websocket_upgrade(self) -> bool:
        """Whether the upgrade it asks for is one to a WebSocket, of the only version there is."""
        return (
            self.method == b"GET"
            and self.header(b"upgrade").lower() == b"websocket"
            and self.header(b"sec-websocket-version") == b"13"
        )

    @property
    def is_from_this_origin(self) -> bool:
        """Whether no other site has to do with it, so that neither the allow-list nor CORS has a say."""
        host = self.header(b"host").lower()
        origin, referer = self.header(b"origin").lower(), self.header(b"referer").lower()
        own = (b"http://" + host, b"https://" + host)
        if origin and origin not in own:
            return False
        if referer and not referer.startswith((own[0] + b"/", own[1] + b"/")):
            return False
        return bool(origin or referer) or self.header(b"sec-fetch-site") != b"cross-site"

    def browser(self) -> str | None:
        """Return the browser cookie, None if there is none.

        Raises:
            ValueError: If there is one, but not as we write it.
        """
        cookies = self.header(b"cookie")
        found = _COOKIE.search(cookies)
        if found is not None:
            return found[1].decode()
        if BROWSER_COOKIE.encode() in cookies:
            raise ValueError("a browser cookie of another make")
        return None


class RequestReader:
    """Reads the requests of one connection; itself the target of the parser's callbacks."""

    __deletable__ = ("_parser",)  # where it is compiled, that has to be said
    __slots__ = ("_body", "_complete", "_headers", "_is_plain", "_parser", "_path")

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)

    def close(self) -> None:
        """Read no more. The parser calls us: what refers to itself waits for the garbage collector."""
        del self._parser

    def read(self, data: bytes) -> PlainRequest | None:
        """Return the request that ``data`` is, neither less nor more. None if it is not plain; read no more then."""
        self._is_plain, self._complete = True, False
        self._path, self._body = b"", b""
        self._headers: dict[bytes, bytes] = {}
        behind = b""
        is_upgrade = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            is_upgrade, behind = True, data[upgrade.args[0] :]
        except httptools.HttpParserError:
            return None
        head = data[: len(data) - len(self._body) - len(behind)]
        if not (self._complete and self._is_plain) or len(head) > MAX_HEAD_BYTES:
            return None
        if self._parser.get_http_version() != "1.1":
            return None
        return PlainRequest(head, self._parser.get_method(), self._path, self._headers, self._body, is_upgrade, behind)

    # ---- called by the parser

    def on_message_begin(self) -> None:
        """A second request in the same packet is not plain."""
        if self._complete:
            self._is_plain = False

    def on_url(self, part: bytes) -> None:
        """The target, in one or several parts."""
        self._path += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        name = name.lower()
        if name in self._headers or name in _NOT_PLAIN:
            self._is_plain = False
        self._headers[name] = value

    def on_body(self, part: bytes) -> None:
        """The body, in one or several parts."""
        self._body = self._body + part if self._body else part

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._complete = True
        if not self._parser.should_keep_alive() and not self._parser.should_upgrade():
            self._is_plain = False

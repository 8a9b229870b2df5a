"""What a scenario is given, and how scenarios are collected."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from tests.support.client import PEERS, Client, Message, Peer, WebSocketPeer

ALL: Final = ("websocket", "eventsource", "long-polling", "cross-origin-long-polling", "callback-polling")
PUSHING: Final = ("websocket", "eventsource")
POLLING: Final = ("long-polling", "cross-origin-long-polling", "callback-polling")
HTTP: Final = ("eventsource", *POLLING)
#: For scenarios that are about one transport or none.
ONCE: Final = ("-",)

FOREIGN_ORIGIN: Final = "http://foreign.example"


class Target(msgspec.Struct, frozen=True):
    """A server under test.

    Attributes:
        url: Of its Bayeux mount.
        allowed_origin: An origin that its allow-list has, None if that is not known.
    """

    url: str
    allowed_origin: str | None = None


class World:
    """One run of one scenario: makes clients, and takes them away afterwards."""

    def __init__(self, target: Target, transport: str) -> None:
        self.target = target
        self.transport = transport
        self._mark = secrets.token_hex(4)
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []
        self._sent = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        self.http = await self.browser(cookies=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def browser(self, *, cookies: bool = True) -> aiohttp.ClientSession:
        """Return an HTTP client of its own, with a cookie jar or none, as many connections as it likes."""
        jar = aiohttp.CookieJar(unsafe=True) if cookies else aiohttp.DummyCookieJar()
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(self._on_sent)
        http = aiohttp.ClientSession(cookie_jar=jar, connector=aiohttp.TCPConnector(limit=0), trace_configs=[tracing])
        return await self._stack.enter_async_context(http)

    async def _on_sent(self, *_: object) -> None:
        self._sent.set()

    def peer(
        self,
        transport: str | None = None,
        *,
        http: aiohttp.ClientSession | None = None,
        headers: dict[str, str] | None = None,
    ) -> Peer:
        """Return a new connection."""
        peer = PEERS[transport or self.transport](http or self.http, self.target.url, headers)
        self._stack.push_async_callback(peer.close)
        return peer

    def client(self, transport: str | None = None, *, http: aiohttp.ClientSession | None = None) -> Client:
        """Return a new client without a session."""
        return Client(self.peer(transport, http=http))

    async def session(self, transport: str | None = None, *, http: aiohttp.ClientSession | None = None) -> Client:
        """Return a new client that has shaken hands and connected once."""
        return await self.client(transport, http=http).begin()

    async def another(self) -> Client:
        """Return a second client with a session, by long-polling whatever the scenario's transport is."""
        return await self.session("long-polling")

    def hold(self, client: Client, **fields: Any) -> asyncio.Task[Message]:
        """Have a client's connect held, until the scenario ends at the latest."""
        task = client.hold(**fields)
        self._tasks.append(task)
        return task

    async def held(self, client: Client, **fields: Any) -> asyncio.Task[Message]:
        """As :meth:`hold`, and return once the server must have the connect."""
        self._sent.clear()
        task = self.hold(client, **fields)
        await self._settle()
        return task

    async def _settle(self) -> None:
        """Return when the server must have read what was sent: after whole round trips on another connection."""
        if self.transport == "websocket":
            await asyncio.sleep(0)  # its task writes in its first step
        else:
            await self._sent.wait()
        for _ in range(3):
            async with self.http.get(self.target.url) as response:
                await response.read()

    def channel(self, *segments: str) -> str:
        """Return a channel nobody else uses, with these further segments."""
        return "/" + "/".join(["conformance", self._mark, *segments])

    async def socket(self, **options: Any) -> aiohttp.ClientWebSocketResponse:
        """Return a bare WebSocket."""
        socket: aiohttp.ClientWebSocketResponse = await self.http.ws_connect(self.target.url, **options)
        self._stack.push_async_callback(socket.close)
        return socket

    def websocket(self, *, http: aiohttp.ClientSession | None = None) -> WebSocketPeer:
        """Return a WebSocket connection."""
        peer = self.peer("websocket", http=http)
        assert isinstance(peer, WebSocketPeer)
        return peer

    async def post(self, body: Any, **headers: str) -> aiohttp.ClientResponse:
        """POST a value as JSON, or bytes or a string as they are, and return the response, read."""
        raw = body if isinstance(body, (bytes, str)) else msgspec.json.encode(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        names = {"Content-Type": "application/json"} | names
        async with self.http.post(self.target.url, data=raw, headers=names) as response:
            await response.read()
        return response


Body = Callable[[World], Awaitable[None]]


class Scenario(msgspec.Struct, frozen=True):
    """One thing a server has to do.

    Attributes:
        area: The file it stands in.
        name: What is right.
        why: Its docstring.
        transports: What it runs over.
        body: The steps.
        needs_allowed_origin: Whether an origin of the allow-list must be known.
    """

    area: str
    name: str
    why: str
    transports: tuple[str, ...]
    body: Body
    needs_allowed_origin: bool = False

    async def run(self, target: Target, transport: str) -> None:
        """Run it.

        Raises:
            AssertionError: If the server does something else.
        """
        async with World(target, transport) as world:
            await self.body(world)


SCENARIOS: list[Scenario] = []


def scenario(transports: Sequence[str] = ONCE, *, needs_allowed_origin: bool = False) -> Callable[[Body], Body]:
    """Return a decorator that collects a scenario."""

    def collect(body: Body) -> Body:
        area = body.__module__.rpartition(".")[2]
        name = body.__name__.replace("_", " ")
        SCENARIOS.append(Scenario(area, name, body.__doc__ or "", tuple(transports), body, needs_allowed_origin))
        return body

    return collect

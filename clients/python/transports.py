"""The ways to a server: a WebSocket, or long polls."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import aiohttp
import msgspec

from bayeux_server.protocol.msgpack_wire import SUBPROTOCOL, from_json, to_json
from clients.python.errors import TransportError

Message = dict[str, Any]
OnMessages = Callable[[list[Message]], Awaitable[None]]
OnLost = Callable[[str], None]

_decode = msgspec.json.Decoder(list[Message]).decode
_encode = msgspec.json.Encoder().encode


class Transport(Protocol):
    """Carries messages both ways.

    Attributes:
        connection_type: What Bayeux calls it.
    """

    connection_type: str

    async def open(self) -> None:
        """Connect.

        Raises:
            TransportError: If that fails.
        """

    async def send(self, messages: list[Message]) -> None:
        """Send a batch. What comes back goes to ``on_messages``.

        Raises:
            TransportError: If the connection is gone.
        """

    async def close(self) -> None:
        """Close for good."""


class WebSocketTransport:
    """Messages in text frames, or packed in binary ones.

    Args:
        packed: Use the sub-protocol ``bayeux.msgpack``.
        on_lost: Called once when the socket closes by itself, with the reason.
    """

    connection_type = "websocket"

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        headers: dict[str, str],
        on_messages: OnMessages,
        on_lost: OnLost,
        *,
        packed: bool,
        heartbeat_s: float = 20.0,
    ) -> None:
        self._http = http
        self._url = url
        self._headers = headers
        self._on_messages = on_messages
        self._on_lost = on_lost
        self._packed = packed
        self._heartbeat_s = heartbeat_s
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """See :meth:`Transport.open`."""
        try:
            self._socket = await self._http.ws_connect(
                self._url,
                headers=self._headers,
                protocols=(SUBPROTOCOL,) if self._packed else (),
                heartbeat=self._heartbeat_s,
                max_msg_size=0,  # the server bounds what it sends; a batch of many events may be large
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TransportError(f"no WebSocket to {self._url}: {error}") from error
        self._packed = self._socket.protocol == SUBPROTOCOL
        self._reading = asyncio.create_task(self._read(self._socket))

    async def send(self, messages: list[Message]) -> None:
        """See :meth:`Transport.send`."""
        if self._socket is None or self._socket.closed:
            raise TransportError("the WebSocket is closed")
        body = _encode(messages)
        try:
            if self._packed:
                await self._socket.send_bytes(from_json(body))
            else:
                await self._socket.send_str(body.decode())
        except (ConnectionError, aiohttp.ClientError) as error:
            raise TransportError(str(error)) from error

    async def close(self) -> None:
        """See :meth:`Transport.close`."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        if self._socket is not None:
            await self._socket.close()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._on_messages(_decode(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                await self._on_messages(_decode(to_json(message.data)))
        self._on_lost(f"the WebSocket closed with {socket.close_code}")


class LongPollingTransport:
    """Messages by POST; a held connect brings events with its reply.

    Args:
        max_hold_s: Longest time a server may hold a poll.
    """

    connection_type = "long-polling"

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        headers: dict[str, str],
        on_messages: OnMessages,
        *,
        max_hold_s: float = 120.0,
    ) -> None:
        self._http = http
        self._url = url
        self._headers = {**headers, "Content-Type": "application/json"}
        self._on_messages = on_messages
        self._timeout = aiohttp.ClientTimeout(total=max_hold_s)
        self._posts: set[asyncio.Task[list[Message]]] = set()

    async def open(self) -> None:
        """See :meth:`Transport.open`: nothing is open between polls."""

    async def send(self, messages: list[Message]) -> None:
        """See :meth:`Transport.send`. Returns when the reply has been processed."""
        post = asyncio.create_task(self._post(messages))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        try:
            replies = await post
        except asyncio.CancelledError:
            post.cancel()
            raise
        await self._on_messages(replies)

    async def close(self) -> None:
        """See :meth:`Transport.close`."""
        for post in self._posts:
            post.cancel()
        await asyncio.gather(*self._posts, return_exceptions=True)

    async def _post(self, messages: list[Message]) -> list[Message]:
        try:
            async with self._http.post(
                self._url, data=_encode(messages), headers=self._headers, timeout=self._timeout
            ) as response:
                body = await response.read()
                if response.status != 200:
                    raise TransportError(f"HTTP {response.status} from {self._url}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TransportError(f"no answer from {self._url}: {error}") from error
        try:
            return _decode(body)
        except msgspec.DecodeError as error:
            raise TransportError(f"no Bayeux at {self._url}: {error}") from error

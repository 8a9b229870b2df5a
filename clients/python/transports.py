"""The ways to a server: a WebSocket, or long polls."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import aiohttp
import msgspec

from bayeux_server.errors import BodyError
from bayeux_server.protocol.msgpack_wire import SUBPROTOCOL, from_json, to_json
from clients.python.errors import TransportError

Message = dict[str, Any]
OnMessages = Callable[[list[Message]], None]
OnLost = Callable[[str], None]

_decode = msgspec.json.Decoder(list[Message]).decode
_encode = msgspec.json.Encoder().encode


class UnavailableError(TransportError):
    """This way to the server is closed; another may be open."""


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
            UnavailableError: If the server is there, and this way to it is not.
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
        headers: Mapping[str, str],
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
        except aiohttp.ClientConnectorError as error:
            raise TransportError(f"no connection to {self._url}: {error}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnavailableError(f"no WebSocket to {self._url}: {error}") from error
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
        reason = "the WebSocket closed"
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._on_messages(_decode(message.data))
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._on_messages(_decode(to_json(message.data)))
            reason += f" with {socket.close_code}"
        except (msgspec.DecodeError, BodyError) as error:
            reason = f"no Bayeux from {self._url}: {error}"
        self._on_lost(reason)


class LongPollingTransport:
    """Messages by POST; a held connect brings events with its reply. How long that may take, who sends it decides."""

    connection_type = "long-polling"

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        headers: Mapping[str, str],
        on_messages: OnMessages,
    ) -> None:
        self._http = http
        self._url = url
        self._headers = headers
        self._on_messages = on_messages
        self._posts: set[asyncio.Task[list[Message]]] = set()

    async def open(self) -> None:
        """See :meth:`Transport.open`: nothing is open between polls."""

    async def send(self, messages: list[Message]) -> None:
        """See :meth:`Transport.send`. Returns when the reply has been processed."""
        post = asyncio.create_task(self._post(messages))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        try:
            await asyncio.wait([post])
        finally:
            post.cancel()  # whoever waited for it does no more
        if post.cancelled():
            raise TransportError("the connection was closed")
        self._on_messages(post.result())

    async def close(self) -> None:
        """See :meth:`Transport.close`."""
        posts = list(self._posts)
        for post in posts:
            post.cancel()
        await asyncio.gather(*posts, return_exceptions=True)

    async def _post(self, messages: list[Message]) -> list[Message]:
        try:
            async with self._http.post(
                self._url,
                data=_encode(messages),
                headers={**self._headers, "Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=None),
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

"""A bare echo: the least a Bayeux server can do for a publish. Only to measure the harness against.

No sessions, no checks, no limits: a publish becomes one frame, written to every subscriber of its channel.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from clients.load.websocket_wire import FINAL, TEXT

_UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
_ADVICE = {"reconnect": "retry", "interval": 0, "timeout": 60_000}

Audience = dict[str, list[Callable[[bytes], None]]]


class Publish(msgspec.Struct):
    """A message, its data kept as the bytes they are."""

    channel: str
    id: str = ""
    subscription: list[str] = []
    data: msgspec.Raw = msgspec.Raw()
    advice: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(list[Publish]).decode


def server_frame(payload: bytes) -> bytes:
    """Return ``payload`` in one unmasked text frame."""
    size = len(payload)
    if size < 126:
        return bytes((FINAL | TEXT, size)) + payload
    if size < 65_536:
        return bytes((FINAL | TEXT, 126)) + size.to_bytes(2, "big") + payload
    return bytes((FINAL | TEXT, 127)) + size.to_bytes(8, "big") + payload


def take_client_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the payloads of the whole frames in ``data``, whose masks are zeros, and the rest."""
    payloads = []
    at = 0
    while len(data) - at >= 6:
        size, body = data[at + 1] & 0x7F, at + 6
        if size == 126:
            size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 8
        elif size == 127:
            size, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 14
        if body + size > len(data):
            break
        payloads.append(data[body : body + size])
        at = body + size
    return payloads, data[at:]


class EchoProtocol(asyncio.Protocol):
    """One WebSocket; ``audience`` is shared by all of them."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._write: Callable[[bytes], None] = lambda _data: None
        self._rest = b""
        self._upgraded = self._connected = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep how to write."""
        if isinstance(transport, asyncio.Transport):
            self._write = transport.write

    def data_received(self, data: bytes) -> None:
        """Answer the upgrade, then every frame."""
        data = self._rest + data
        if not self._upgraded:
            head, ended, data = data.partition(b"\r\n\r\n")
            if not ended:
                self._rest = head
                return
            self._upgraded = True
            self._write(_UPGRADED)
        payloads, self._rest = take_client_frames(data)
        for payload in payloads:
            if not payload.startswith(b"["):
                continue  # a close frame: the connection ends by itself
            replies = [reply for message in _decode(payload) if (reply := self._answer(message))]
            if replies:
                self._write(server_frame(msgspec.json.encode(replies)))

    def _answer(self, message: Publish) -> dict[str, Any] | None:
        reply: dict[str, Any] = {"channel": message.channel, "id": message.id, "successful": True}
        if message.channel == "/meta/handshake":
            return reply | {"clientId": "echo", "version": "1.0", "advice": _ADVICE}
        if message.channel == "/meta/connect":
            held, self._connected = self._connected, True
            return None if held else reply | {"advice": _ADVICE}
        if message.channel == "/meta/subscribe":
            for channel in message.subscription:
                self._audience[channel].append(self._write)
            return reply | {"subscription": message.subscription}
        if not message.channel.startswith("/meta/"):
            frame = server_frame(b'[{"channel":"%b","data":%b}]' % (message.channel.encode(), bytes(message.data)))
            self.deliver(frame, self._audience.get(message.channel, []))
        return reply

    def deliver(self, frame: bytes, audience: Sequence[Callable[[bytes], None]]) -> None:
        """Write ``frame`` to every subscriber."""
        for write in audience:
            write(frame)


def serve(pipe: Connection) -> None:
    """Serve on a free loopback port, told through ``pipe``, until ended: the entry point of a process."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    audience: Audience = defaultdict(list)
    server = await asyncio.get_running_loop().create_server(
        lambda: EchoProtocol(audience), "127.0.0.1", 0, backlog=1024
    )
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()

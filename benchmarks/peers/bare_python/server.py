"""The least a Python Bayeux server can do per delivery: no sessions, checks, limits or errors. A yardstick, no example.

``python -m benchmarks.peers.bare_python.server PORT``: WebSocket only, at http://127.0.0.1:PORT/bayeux. The envelope is
decoded with its data left raw, one frame is built per publish, and what a socket is owed is written once a loop turn.
"""

import asyncio
import gc
import secrets
import sys
from collections import defaultdict

import msgspec
from aiohttp import WSMsgType, web

ADVICE = b'"advice":{"reconnect":"retry","interval":0,"timeout":25000}'
NOTHING = msgspec.Raw(b"")


class Message(msgspec.Struct):
    """The fields it looks at; each is as raw as it came."""

    channel: str
    id: msgspec.Raw = NOTHING
    subscription: msgspec.Raw = NOTHING
    data: msgspec.Raw = NOTHING
    advice: msgspec.Raw = NOTHING


class Socket:
    """A WebSocket and the frames it is owed."""

    __slots__ = ("connected", "outbox", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport, self.connected = transport, False
        self.outbox: list[bytes] = []


decode = msgspec.json.Decoder(list[Message]).decode
subscribers: dict[str, dict[Socket, None]] = defaultdict(dict)
dirty: list[Socket] = []


def text_frame(payload: bytes) -> bytes:
    """Return ``payload`` in one unmasked text frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    return (b"\x81\x7e" + size.to_bytes(2, "big") if size < 65_536 else b"\x81\x7f" + size.to_bytes(8, "big")) + payload


def put(socket: Socket, frame: bytes) -> None:
    """Owe ``frame`` to ``socket``, to be written at the end of this turn of the loop."""
    if not socket.outbox:
        if not dirty:
            asyncio.get_running_loop().call_soon(flush)
        dirty.append(socket)
    socket.outbox.append(frame)


def flush() -> None:
    """Write to every socket what it is owed."""
    for socket in dirty:
        frames, socket.outbox = socket.outbox, []
        socket.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
    dirty.clear()


def answer(socket: Socket, message: Message) -> bytes | None:
    """Return the reply to ``message``, None for a connect that is held for ever."""
    channel = message.channel.encode()
    head = b'{"channel":"%b","successful":true' % channel
    if message.id:
        head += b',"id":' + bytes(message.id)
    if channel == b"/meta/handshake":
        identity = secrets.token_hex(16).encode()
        return b'%b,"version":"1.0","supportedConnectionTypes":["websocket"],"clientId":"%b",%b}' % (
            head,
            identity,
            ADVICE,
        )
    if channel == b"/meta/connect":
        held, socket.connected = socket.connected and b'"timeout":0' not in bytes(message.advice), True
        return None if held else head + b"," + ADVICE + b"}"
    if channel == b"/meta/subscribe":
        wanted = msgspec.json.decode(message.subscription, type=str | list[str])
        for name in [wanted] if isinstance(wanted, str) else wanted:
            subscribers[name][socket] = None
        return head + b',"subscription":' + bytes(message.subscription) + b"}"
    audience = subscribers.get(message.channel)
    if audience:
        frame = text_frame(b'[{"channel":"%b","data":%b}]' % (channel, bytes(message.data)))
        for subscriber in audience:
            put(subscriber, frame)
    return head + b"}"


async def bayeux(request: web.Request) -> web.WebSocketResponse:
    """Serve one WebSocket."""
    response = web.WebSocketResponse(compress=False)
    await response.prepare(request)
    if request.transport is None:
        return response
    socket = Socket(request.transport)
    async for message in response:
        if message.type == WSMsgType.TEXT:
            replies = [reply for one in decode(message.data) if (reply := answer(socket, one)) is not None]
            if replies:
                put(socket, text_frame(b"[%b]" % b",".join(replies)))
    for audience in subscribers.values():
        audience.pop(socket, None)
    return response


def main() -> None:
    """Serve until ended."""
    app = web.Application()
    app.router.add_get("/bayeux", bayeux)
    gc.freeze()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, backlog=2_048)


if __name__ == "__main__":
    main()

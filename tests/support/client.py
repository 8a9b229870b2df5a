"""Bayeux clients for tests: as raw as possible, one class for each connection type."""

import asyncio
import itertools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlencode

import aiohttp

Message = dict[str, Any]

PATIENCE_S = 20.0
_JSONP = re.compile(r"(?:/\*\*/)?([\w$.]+)\((.*)\);?", re.DOTALL)


def is_event(message: Message) -> bool:
    """Whether a message is one that was published, and no reply: only those have data."""
    return "data" in message


class Peer(ABC):
    """One client's connection.

    Attributes:
        arrays: Every array of messages received, in order.
        inbox: The events in them.
        strays: The messages that are neither events nor replies to what was asked, such as a disconnect notice.
    """

    transport: ClassVar[str]
    #: Whether events come by themselves, or only with the reply to a connect.
    pushes: ClassVar[bool] = False

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None) -> None:
        self.http = http
        self.url = url
        self.headers = headers or {}
        self.arrays: list[list[Message]] = []
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.strays: asyncio.Queue[Message] = asyncio.Queue()

    @abstractmethod
    async def request(self, *messages: Message) -> list[Message]:
        """Send messages, which have ids, as one batch and return their replies."""

    async def bound(self, client_id: str) -> None:  # noqa: B027 - most need nothing
        """Do what the connection needs once there is a session."""

    async def close(self) -> None:  # noqa: B027 - most hold none
        """Let go of the connection."""

    def _received(self, array: list[Message]) -> None:
        self.arrays.append(array)
        for message in filter(is_event, array):
            self.inbox.put_nowait(message)


class _HttpPeer(Peer):
    async def request(self, *messages: Message) -> list[Message]:
        array = await self._exchange(json.dumps(messages))
        self._received(array)
        asked = [message.get("id") for message in messages]
        replies = [message for message in array if not is_event(message)]
        for stray in replies:
            if stray.get("id") not in asked:
                self.strays.put_nowait(stray)
        return [reply for reply in replies if reply.get("id") in asked]

    @abstractmethod
    async def _exchange(self, body: str) -> list[Message]: ...


class LongPollingPeer(_HttpPeer):
    """POSTs JSON."""

    transport = "long-polling"

    async def _exchange(self, body: str) -> list[Message]:
        headers = {"Content-Type": "application/json", **self.headers}
        async with self.http.post(self.url, data=body, headers=headers) as response:
            return await _array(response)


class CrossOriginPeer(_HttpPeer):
    """POSTs forms, as Faye does from another origin."""

    transport = "cross-origin-long-polling"

    async def _exchange(self, body: str) -> list[Message]:
        headers = {"Content-Type": "text/plain;charset=UTF-8", **self.headers}
        async with self.http.post(self.url, data=urlencode({"message": body}), headers=headers) as response:
            return await _array(response)


class CallbackPollingPeer(_HttpPeer):
    """GETs scripts."""

    transport = "callback-polling"

    async def _exchange(self, body: str) -> list[Message]:
        parameters = {"message": body, "jsonp": "__jsonp1__"}
        async with self.http.get(self.url, params=parameters, headers=self.headers) as response:
            text = await response.text()
            assert response.status == 200, f"HTTP {response.status}: {text[:200]}"
        call = _JSONP.fullmatch(text.strip())
        assert call is not None, f"no call of a function: {text[:200]}"
        assert call[1] == "__jsonp1__"
        array: list[Message] = json.loads(call[2])
        return array


class EventSourcePeer(LongPollingPeer):
    """POSTs JSON; events come on a stream."""

    transport = "eventsource"
    pushes = True

    _stream: aiohttp.ClientResponse | None = None
    _reading: asyncio.Task[None] | None = None

    async def bound(self, client_id: str) -> None:
        headers = {"Accept": "text/event-stream", **self.headers}
        self._stream = await self.http.get(f"{self.url}/{client_id}", headers=headers)
        assert self._stream.status == 200, f"HTTP {self._stream.status} for the event stream"
        started = asyncio.Event()
        self._reading = asyncio.create_task(self._read(self._stream, started))
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()

    async def ended(self) -> None:
        """Wait until the other side has ended the stream."""
        assert self._reading is not None
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([self._reading])

    async def _read(self, stream: aiohttp.ClientResponse, started: asyncio.Event) -> None:
        async for line in stream.content:
            started.set()  # the first thing a stream carries is a comment
            field, _, value = line.decode().rstrip("\r\n").partition(":")
            if field == "data":
                array = json.loads(value)
                self._received(array)
                for stray in array:
                    if not is_event(stray):
                        self.strays.put_nowait(stray)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._stream is not None:
            self._stream.close()


#: A server that waits for something else does not answer a close before that; a test need not wait ten seconds for it.
_CLOSING = aiohttp.ClientWSTimeout(ws_close=1.0)


class WebSocketPeer(Peer):
    """Sends frames.

    Attributes:
        texts: Every frame received, as it came.
    """

    transport = "websocket"
    pushes = True

    socket: aiohttp.ClientWebSocketResponse | None = None
    _reading: asyncio.Task[None] | None = None

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(http, url, headers)
        self.texts: list[str] = []
        self._pending: dict[Any, asyncio.Future[Message]] = {}

    async def open(self) -> aiohttp.ClientWebSocketResponse:
        """Open the socket, once."""
        if self.socket is None:
            self.socket = await self.http.ws_connect(self.url, headers=self.headers, timeout=_CLOSING)
            self._reading = asyncio.create_task(self._read(self.socket))
        return self.socket

    async def request(self, *messages: Message) -> list[Message]:
        socket = await self.open()
        futures: list[asyncio.Future[Message]] = []
        for message in messages:
            future = self._pending[message["id"]] = asyncio.get_running_loop().create_future()
            futures.append(future)
        await socket.send_str(json.dumps(messages))
        replies: list[Message] = await asyncio.gather(*futures)
        return replies

    async def ended(self) -> int | None:
        """Wait until the other side has closed, and return its code."""
        socket = await self.open()
        assert self._reading is not None
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([self._reading])
        return socket.close_code

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            self.texts.append(frame.data)
            array: list[Message] = json.loads(frame.data)
            self._received(array)
            for message in array:
                future = None if is_event(message) else self._pending.pop(message.get("id"), None)
                if future is not None and not future.done():
                    future.set_result(message)
                elif not is_event(message):
                    self.strays.put_nowait(message)
        for future in self._pending.values():
            if not future.done():
                future.set_exception(ConnectionError(f"the socket was closed ({socket.close_code})"))
                future.exception()  # seen: who still waits for it gets it all the same

    async def close(self) -> None:
        if self.socket is not None:
            await self.socket.close()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)


async def _array(response: aiohttp.ClientResponse) -> list[Message]:
    text = await response.text()
    assert response.status == 200, f"HTTP {response.status}: {text[:200]}"
    array: list[Message] = json.loads(text)
    assert isinstance(array, list), f"no array: {text[:200]}"
    return array


PEERS: dict[str, Callable[..., Peer]] = {
    peer.transport: peer
    for peer in (WebSocketPeer, EventSourcePeer, LongPollingPeer, CrossOriginPeer, CallbackPollingPeer)
}


class Client:
    """A session over one connection. Nothing is hidden: replies are returned as they came."""

    def __init__(self, peer: Peer, client_id: str | None = None) -> None:
        self.peer = peer
        self.id = client_id
        self._ids = itertools.count(1)

    def message(self, channel: str, **fields: Any) -> Message:
        """Return a message with an id and, if there is one, the clientId."""
        session = {} if self.id is None else {"clientId": self.id}
        return {"channel": channel, "id": f"m{next(self._ids)}", **session, **fields}

    async def ask(self, channel: str, **fields: Any) -> Message:
        """Send one message and return its reply."""
        async with asyncio.timeout(PATIENCE_S):
            [reply] = await self.peer.request(self.message(channel, **fields))
        return reply

    async def batch(self, *messages: Message) -> list[Message]:
        """Send messages together and return their replies."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.peer.request(*messages)

    async def handshake(self, **fields: Any) -> Message:
        """Shake hands."""
        fields = {"version": "1.0", "supportedConnectionTypes": [self.peer.transport], **fields}
        reply = await self.ask("/meta/handshake", **fields)
        if reply.get("successful"):
            self.id = reply["clientId"]
            await self.peer.bound(reply["clientId"])
        return reply

    async def connect(self, **fields: Any) -> Message:
        """Connect and wait for the reply."""
        return await self.ask("/meta/connect", **{"connectionType": self.peer.transport, **fields})

    async def begin(self) -> "Client":
        """Shake hands and connect for the first time, without being held: some servers would."""
        reply = await self.handshake()
        assert reply["successful"], reply
        reply = await self.connect(advice={"timeout": 0})
        assert reply["successful"], reply
        return self

    def hold(self, **fields: Any) -> asyncio.Task[Message]:
        """Begin a connect that the server is going to hold."""
        return asyncio.create_task(self.connect(**fields))

    async def subscribe(self, subscription: object, **fields: Any) -> Message:
        """Subscribe."""
        return await self.ask("/meta/subscribe", subscription=subscription, **fields)

    async def unsubscribe(self, subscription: object, **fields: Any) -> Message:
        """Unsubscribe."""
        return await self.ask("/meta/unsubscribe", subscription=subscription, **fields)

    async def publish(self, channel: str, data: object, **fields: Any) -> Message:
        """Publish."""
        return await self.ask(channel, data=data, **fields)

    async def disconnect(self) -> Message:
        """Disconnect."""
        return await self.ask("/meta/disconnect")

    async def event(self) -> Message:
        """Return the next event, however it comes."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.peer.pushes and self.peer.inbox.empty():
                reply = await self.connect()
                assert reply["successful"], reply
            return await self.peer.inbox.get()

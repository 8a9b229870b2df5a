"""Bayeux servers that go wrong on purpose, over WebSocket and over long-polling: for the load harness to find out."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from clients.load.echo import Audience, EchoProtocol
from clients.load.ledger import Count
from clients.load.mark import MARK_DIGITS, SIGN, parse_mark

Faults = Callable[[bytes], list[bytes]]
"""What becomes of one delivery: the deliveries that are made in its place."""


def none(delivery: bytes) -> list[bytes]:
    return [delivery]


def deaf(_delivery: bytes) -> list[bytes]:
    return []


def altering(delivery: bytes) -> list[bytes]:
    return [delivery.replace(b"quick", b"QUICK")]


class EveryKind:
    """Of every ten messages it loses number 3, doubles number 5, and sends number 7 after number 8."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def __call__(self, delivery: bytes) -> list[bytes]:
        at = delivery.index(SIGN) + len(SIGN)
        number = parse_mark(delivery[at : at + MARK_DIGITS])[1] % 10
        if number == 3:
            return []
        if number == 5:
            return [delivery, delivery]
        if number == 7:
            self._kept.append(delivery)
            return []
        kept, self._kept = self._kept, []
        return [delivery, *kept]

    @staticmethod
    def count(sent: int, subscribers: int) -> Count:
        """Return what a harness must count of one stream of ``sent`` messages."""

        def like(number: int) -> int:
            return len(range(number, sent, 10)) * subscribers

        # Number 7 is out of order where number 8 was sent, too, and lost where it was the last.
        lost = like(3) + like(7) - like(8)
        expected = sent * subscribers
        return Count(expected, expected - lost, lost, duplicated=like(5), out_of_order=like(8))


@asynccontextmanager
async def websocket_server(faults: Faults, refused: int = 0) -> AsyncIterator[str]:
    """Serve WebSockets with ``faults``, all but the first ``refused`` ones; yields the URL."""
    left = refused

    class Protocol(EchoProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal left
            super().connection_made(transport)
            if left:
                left -= 1
                transport.close()

        def deliver(self, frame: bytes, audience: Sequence[Callable[[bytes], None]]) -> None:
            for one in faults(frame):
                super().deliver(one, audience)

    audience: Audience = defaultdict(list)
    server = await asyncio.get_running_loop().create_server(lambda: Protocol(audience), "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/bayeux"


class PollingServer:
    """The least of Bayeux over long-polling: what a session is owed goes out with its held connect."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._sessions: dict[str, asyncio.Queue[bytes]] = {}
        self._channels: dict[str, list[str]] = defaultdict(list)

    async def handle(self, request: web.Request) -> web.Response:
        answers: list[bytes] = []
        for message in await request.json():
            answers += await self._answer(message)
        return web.Response(body=b"[%b]" % b",".join(answers), content_type="application/json")

    async def _answer(self, message: dict[str, Any]) -> list[bytes]:
        channel = message["channel"]
        reply = {"channel": channel, "id": message["id"], "successful": True}
        events: list[bytes] = []
        if channel == "/meta/handshake":
            reply["clientId"] = f"session{len(self._sessions)}"
            self._sessions[reply["clientId"]] = asyncio.Queue()
        elif channel == "/meta/connect":
            reply["advice"] = {"reconnect": "retry", "interval": 0, "timeout": 60_000}
            events = await self._take(message)
        elif channel == "/meta/subscribe":
            for one in message["subscription"]:
                self._channels[one].append(message["clientId"])
        elif channel != "/meta/disconnect":
            for delivery in self._faults(msgspec.json.encode({"channel": channel, "data": message["data"]})):
                for subscriber in self._channels[channel]:
                    self._sessions[subscriber].put_nowait(delivery)
        return [*events, msgspec.json.encode(reply)]

    async def _take(self, connect: dict[str, Any]) -> list[bytes]:
        queue = self._sessions[connect["clientId"]]
        events = [] if connect.get("advice") == {"timeout": 0} else [await queue.get()]
        while not queue.empty():
            events.append(queue.get_nowait())
        return events


@asynccontextmanager
async def polling_server(faults: Faults) -> AsyncIterator[str]:
    """Serve long polls with ``faults``; yields the URL."""
    app = web.Application()
    app.router.add_post("/bayeux", PollingServer(faults).handle)
    # Polls are still held when the test is over: nobody waits for them.
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/bayeux"
    finally:
        await runner.cleanup()

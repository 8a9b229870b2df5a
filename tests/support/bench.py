"""A server without transports: messages in, replies and events out, and connections cut at any point."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bayeux_server.app import BayeuxApp
from bayeux_server.protocol.messages import Reply
from bayeux_server.protocol.wire import write
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.identity import Identity
from bayeux_server.server.origin import Origin
from bayeux_server.server.session import Hold, ServerSession
from tests.support.manual_clock import ManualClock
from tests.support.server import make_settings

Message = dict[str, Any]

PATIENCE_S = 20.0


class Exchange:
    """One request of a long-polling client and what it was answered, at once or later.

    Attributes:
        array: The messages of the answer, None while its connect is held.
    """

    def __init__(self, bench: "Bench", origin: Origin) -> None:
        self._bench = bench
        self._origin = origin
        self.session: ServerSession | None = None
        self.hold: Hold | None = None
        self.deliveries: list[Delivery] = []
        self.array: list[Message] | None = None

    async def run(self, body: bytes) -> "Exchange":
        server = self._bench.app.server
        outcome = await server.pipeline.process(server.reader.read(body), self._origin, self._late)
        self.session, self.hold = outcome.session, outcome.hold
        if outcome.hold is None:
            self._answered(outcome.deliveries, outcome.replies)
        return self

    def _late(self, session: ServerSession, deliveries: list[Delivery], reply: Reply) -> None:
        self.session = session
        self._answered(deliveries, [reply])

    def _answered(self, deliveries: list[Delivery], replies: list[Reply]) -> None:
        self.deliveries = deliveries
        self.array = json.loads(write([*(delivery.json for delivery in deliveries), *replies]))

    @property
    def replies(self) -> list[Message]:
        """The replies of the answer."""
        assert self.array is not None, "still held"
        return [message for message in self.array if "data" not in message]

    @property
    def reply(self) -> Message:
        """The one reply of the answer."""
        [reply] = self.replies
        return reply

    @property
    def events(self) -> list[Message]:
        """The events of the answer."""
        assert self.array is not None, "still held"
        return [message for message in self.array if "data" in message]

    def cut(self) -> None:
        """The connection is gone: before the answer, or while it is being written, as a transport notices it."""
        if self.array is None and self.session is not None and self.hold is not None:
            self._bench.app.server.pipeline.connect.cancel(self.session, self.hold, self._origin)
        elif self.session is not None:
            self.session.requeue(self.deliveries)


class Bench:
    """A server for tests of what happens between transports and broker."""

    def __init__(self, app: BayeuxApp, clock: ManualClock) -> None:
        self.app = app
        self.server = app.server
        self.clock = clock

    async def request(
        self, *messages: Message, address: str = "192.0.2.1", user: str | None = None, browser: str | None = None
    ) -> Exchange:
        """Send messages as one request."""
        identity = Identity(user) if user else None
        origin = Origin(transport="long-polling", address=address, identity=identity, browser=browser)
        exchange = await Exchange(self, origin).run(json.dumps(messages).encode())
        await self.settle()
        return exchange

    async def client(self, **handshake: Any) -> "BenchClient":
        """Return a client that has shaken hands."""
        client = BenchClient(self)
        await client.handshake(**handshake)
        return client

    async def settle(self) -> None:
        """Let everything run that waits for nothing but its turn."""
        for _ in range(20):
            await asyncio.sleep(0)


class BenchClient:
    """A long-polling client: nothing of what the server sends is hidden."""

    def __init__(self, bench: Bench, **origin: Any) -> None:
        self._bench = bench
        self.origin = origin
        self._ids = itertools.count(1)
        self.id = ""

    @property
    def session(self) -> ServerSession:
        """The session on the server."""
        session = self._bench.server.core.sessions.get(self.id)
        assert session is not None, "the session has ended"
        return session

    async def send(self, channel: str, **fields: Any) -> Exchange:
        """Send one message."""
        client_id = {"clientId": self.id} if self.id else {}
        message = {"channel": channel, "id": str(next(self._ids)), **client_id, **fields}
        return await self._bench.request(message, **self.origin)

    async def handshake(self, **fields: Any) -> Message:
        """Shake hands."""
        types = {"version": "1.0", "supportedConnectionTypes": ["long-polling"]}
        reply = (await self.send("/meta/handshake", **types, **fields)).reply
        self.id = reply.get("clientId", "")
        return reply

    async def connect(self, **fields: Any) -> Exchange:
        """Connect; the answer may come later."""
        return await self.send("/meta/connect", connectionType="long-polling", **fields)

    async def subscribe(self, subscription: object, **fields: Any) -> Message:
        """Subscribe and return the reply."""
        return (await self.send("/meta/subscribe", subscription=subscription, **fields)).reply

    async def publish(self, channel: str, data: object = 1, **fields: Any) -> Message:
        """Publish and return the reply."""
        return (await self.send(channel, data=data, **fields)).reply

    async def answered(self, exchange: Exchange) -> None:
        """Wait for an answer that depends on something outside, such as a real Redis."""
        async with asyncio.timeout(PATIENCE_S):
            while exchange.array is None:  # noqa: ASYNC110 - nothing here tells of a packet on its way
                await asyncio.sleep(0.001)

    async def events(self) -> list[Message]:
        """Return the events that wait now."""
        return (await self.connect(advice={"timeout": 0})).events


@asynccontextmanager
async def open_bench(sections: Mapping[str, Any] | None = None) -> AsyncIterator[Bench]:
    """Run a server on a manual clock, without sockets."""
    clock = ManualClock()
    app = BayeuxApp(make_settings(sections), clock=clock)
    clock.on_advance.append(lambda: app.server.core.timers.run_due(clock.now()))
    await app.history.start()
    await app.server.start()
    try:
        yield Bench(app, clock)
    finally:
        await app.server.stop()
        await app.history.stop()

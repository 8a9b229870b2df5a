"""A Bayeux server with the presence extension, without transports, in the test's own time."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry

from bayeux_server.backends.memory.broker import MemoryBroker
from bayeux_server.host import ExtensionContext
from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import Reply
from bayeux_server.protocol.wire import Reader
from bayeux_server.server.authorizer import AllowAll
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.binding import Binding
from bayeux_server.server.channel import ChannelIndex
from bayeux_server.server.core import Core
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Hooks
from bayeux_server.server.flush import Flush
from bayeux_server.server.identity import Identity
from bayeux_server.server.observer import Observer
from bayeux_server.server.origin import Origin
from bayeux_server.server.registry import SessionRegistry
from bayeux_server.server.remote_call import RemoteCalls
from bayeux_server.server.session import ServerSession
from bayeux_server.server.timers import Timers
from bayeux_server.settings import convert
from channels.locks.guard import LockGuard
from extensions.presence import LOCK_GUARD, presence

Event = dict[str, Any]
T = TypeVar("T")


class ManualClock:
    """Time as the test tells it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def now(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return 1_763_028_000.0 + self.now_s


class Connection:
    """What a socket would be: keeps what is pushed."""

    browser: str | None = None
    outlet = None

    def __init__(self) -> None:
        self.events: list[Event] = []

    def writable(self) -> bool:
        return True

    def wait(self, session: ServerSession) -> None:
        pass

    def push(self, deliveries: list[Delivery]) -> None:
        self.events += [json.loads(delivery.json) for delivery in deliveries]

    def end(self, reason: str) -> None:
        pass

    async def alive(self) -> bool:
        return True


class Client:
    """A client with a session and a socket-like connection."""

    def __init__(self, world: "World", session: ServerSession) -> None:
        self.world = world
        self.session = session
        self.connection = Connection()

    @property
    def origin(self) -> Origin:
        """Where its messages come from."""
        return Origin("websocket", "127.0.0.1", socket=self.connection, pipe=self.connection)

    async def connect(self) -> None:
        """Connect, on the connection there is."""
        await self.send("/meta/connect", connectionType="websocket")

    async def send(self, channel: str, **fields: object) -> Reply:
        """Send one message and return its reply."""
        message = {"channel": channel, "clientId": self.session.id, "id": "1", **fields}
        batch = self.world.server.reader.read(json.dumps([message]).encode())
        outcome = await self.world.server.pipeline.process(batch, self.origin, lambda *_: None)
        await self.world.settle()
        return outcome.replies[0] if outcome.replies else Reply(successful=True)

    async def tell(self, kind: str, task_id: str = "task_1", **fields: object) -> Event:
        """Send a message about presence or locks and return the answer."""
        await self.send("/service/presence", data={"type": kind, "task_id": task_id, **fields})
        found: Event = next(event for event in reversed(self.connection.events) if "successful" in event)
        self.connection.events.remove(found)
        return found

    async def open(self, task_id: str = "task_1", state: str = "viewing") -> None:
        """Do what the design's page does when a task is opened."""
        await self.send("/meta/subscribe", subscription=f"/task/{task_id}")
        await self.tell("presence.user_joined", task_id, state=state)

    def heard(self) -> list[Event]:
        """Take the payloads of the events that arrived."""
        events, self.connection.events = self.connection.events, []
        return [event["data"] for event in events]

    def heard_types(self) -> list[str]:
        """Take the events that arrived, as their types."""
        return [event["type"] for event in self.heard()]

    async def lose_connection(self) -> None:
        """Cut the connection without a word."""
        if self.session.held is not None:
            self.world.server.pipeline.connect.cancel(self.session, self.session.held, self.origin)
        self.world.server.lifecycle.detach(self.session, self.connection)

    async def come_back(self) -> None:
        """Connect again on a new connection."""
        self.connection = Connection()
        await self.connect()


class Context(ExtensionContext):
    """What the extension builds on, and no more."""

    def __init__(self, server: BayeuxServer, config: dict[str, object]) -> None:
        self.server = server
        self.app = web.Application()
        self.registry = CollectorRegistry()
        self.checks: dict[str, Callable[[], str | None]] = {}
        self._config = config

    def read_config(self, kind: type[T]) -> T:
        """Return what the test configured."""
        return convert(self._config, kind, "extensions.presence")

    def add_readiness(self, name: str, unready: Callable[[], str | None]) -> None:
        """Keep it for the test to ask."""
        self.checks[name] = unready


class World:
    """The server, its clock and its clients."""

    def __init__(self, **config: object) -> None:
        self.clock = ManualClock()
        observer = Observer()
        self.core = Core(
            clock=self.clock,
            timers=Timers(lambda _: None),
            flush=Flush(lambda callback: asyncio.get_running_loop().call_soon(callback), observer),
            broker=MemoryBroker(),
            grammar=ChannelGrammar(),
            channels=ChannelIndex(1_000),
            sessions=SessionRegistry(),
            hooks=Hooks(),
            policy=AllowAll(),
            binding=Binding("off"),
            remote_calls=RemoteCalls(),
            observer=observer,
        )
        self.server = BayeuxServer(self.core, Reader(self.core.grammar))
        context = Context(self.server, config)
        self.registry, self.app, self.readiness = context.registry, context.app, context.checks
        self.extension = presence(context)
        self.server.add_extension(self.extension)

    @property
    def service(self) -> Any:
        return self.extension.service

    @property
    def guard(self) -> LockGuard:
        return self.app[LOCK_GUARD]

    async def client(
        self, user_id: str | None = "cc_456", name: str = "Sarah Johnson", role: str = "care_coordinator"
    ) -> Client:
        """Return a connected client of a user; None for an anonymous one."""
        session = self.server.lifecycle.new_session(address="127.0.0.1", transport="websocket")
        if user_id is not None:
            session.identity = Identity(user_id, frozenset({role}), None, {"name": name})
        self.core.sessions.add(session)
        client = Client(self, session)
        await client.connect()
        await client.connect()
        return client

    async def settle(self) -> None:
        """Let everything that was begun come to rest."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float, *, hold: tuple[Client, ...] = ()) -> None:
        """Let time pass, firing every timer at its own moment."""
        until_s = self.clock.now_s + seconds
        while True:
            pending = [timer.when_s for timer in self.core.timers._heap if timer.pending and timer.when_s <= until_s]
            if not pending:
                break
            self.clock.now_s = max(self.clock.now_s, min(pending))
            self.core.timers.run_due(self.clock.now_s)
            await self.settle()
            for client in hold:
                if client.session.held is None and client.session.pipe is not None:
                    await client.connect()
        self.clock.now_s = until_s

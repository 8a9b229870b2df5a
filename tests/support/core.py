"""A server's core without an event loop: time and turns pass when the test says so."""

import json
from collections.abc import Callable
from typing import Any

from bayeux_server.backends.memory.broker import MemoryBroker
from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.authorizer import AllowAll
from bayeux_server.server.binding import Binding
from bayeux_server.server.channel import ChannelIndex
from bayeux_server.server.core import Core
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Hooks
from bayeux_server.server.flush import Flush
from bayeux_server.server.observer import Observer
from bayeux_server.server.pipe import Outlet
from bayeux_server.server.registry import SessionRegistry
from bayeux_server.server.remote_call import RemoteCalls
from bayeux_server.server.session import ServerSession
from bayeux_server.server.timers import Timers
from tests.support.manual_clock import ManualClock


class Turns:
    """What was asked to be called soon."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Remember a callback for the end of the turn."""
        self._callbacks.append(callback)

    def end(self) -> None:
        """End the turn, and those that follow from it."""
        while self._callbacks:
            self._callbacks.pop(0)()


def make_core(clock: ManualClock, turns: Turns, **parts: Any) -> Core:
    """Return a core whose timers run when the clock moves; ``parts`` stand in for the usual ones."""
    timers = Timers(lambda _when_s: None)
    clock.on_advance.append(lambda: timers.run_due(clock.now()))
    observer = parts.get("observer") or Observer()
    usual: dict[str, Any] = {
        "clock": clock,
        "timers": timers,
        "flush": Flush(turns.call_soon, observer),
        "broker": MemoryBroker(),
        "grammar": ChannelGrammar(),
        "channels": ChannelIndex(),
        "sessions": SessionRegistry(),
        "hooks": Hooks(),
        "policy": AllowAll(),
        "binding": Binding("adaptive"),
        "remote_calls": RemoteCalls(),
        "observer": observer,
    }
    return Core(**(usual | parts))


def make_delivery(channel: str, data: bytes = b"1", *, lazy: bool = False) -> Delivery:
    """Return an event."""
    return Delivery(Publication(ChannelGrammar().parse(channel), data, lazy=lazy))


class FakePipe:
    """A connection that remembers what was pushed into it. See :class:`bayeux_server.server.pipe.Pipe`."""

    def __init__(self, browser: str | None = None, *, is_alive: bool = True, has_outlet: bool = False) -> None:
        self.browser = browser
        self.pushed: list[Delivery] = []
        self.waiting: list[ServerSession] = []
        self.ended: str | None = None
        self.takes_more = True
        self._is_alive = is_alive
        self.outlet = Outlet(_as_line, self._write, lambda: not self.takes_more) if has_outlet else None

    def writable(self) -> bool:
        """Whether it takes more now."""
        return self.takes_more

    def wait(self, session: ServerSession) -> None:
        """Remember who waits."""
        self.waiting.append(session)

    def push(self, deliveries: list[Delivery]) -> None:
        """Remember what was pushed."""
        self.pushed += deliveries

    def end(self, reason: str) -> None:
        """Remember why it ended."""
        self.ended = reason

    def _write(self, lines: bytes) -> None:
        events = [json.loads(line) for line in lines.splitlines()]
        self.pushed += [make_delivery(event["channel"], json.dumps(event["data"]).encode()) for event in events]

    async def alive(self) -> bool:
        """Whether it answers a ping."""
        return self._is_alive


def _as_line(event: bytes) -> bytes:
    return event + b"\n"

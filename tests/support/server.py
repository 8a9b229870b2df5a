"""Our server for tests: inside the test's own event loop, or as a process of its own."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bayeux_server.app import BayeuxApp
from bayeux_server.serving import listening
from bayeux_server.settings import Settings, convert
from tests.support.manual_clock import ManualClock
from tests.support.services.service import Service, accepts_connections

ALLOWED_ORIGIN = "http://pages.example"

_DEFAULTS: dict[str, dict[str, Any]] = {
    "server": {"port": 0, "drain_ms": 0, "demo": False, "allowed_origins": [ALLOWED_ORIGIN]},
}


def make_settings(sections: Mapping[str, Any] | None = None) -> Settings:
    """Return settings fit for tests, with what ``sections`` says over them."""
    table = {name: dict(section) for name, section in _DEFAULTS.items()}
    for name, section in (sections or {}).items():
        table[name] = {**table.get(name, {}), **section} if isinstance(section, Mapping) else section
    return convert(table, Settings)


class LocalServer:
    """A server inside this event loop.

    Attributes:
        app: The whole application.
        url: Of the Bayeux mount.
        clock: None for a server on the machine's clock.
    """

    def __init__(self, app: BayeuxApp, base: str, clock: ManualClock | None) -> None:
        self.app = app
        self.base = base
        self.url = base + app.settings.server.mount
        self.clock = clock

    @property
    def sessions(self) -> int:
        """How many sessions live."""
        return len(self.app.server.core.sessions)

    def advance(self, seconds: float) -> None:
        """Let time pass on a manual clock; what is due has run on return."""
        if self.clock is None:
            raise AssertionError("this server runs on the machine's clock")
        self.clock.advance(seconds)


@asynccontextmanager
async def local_server(
    sections: Mapping[str, Any] | None = None, *, clock: ManualClock | None = None
) -> AsyncIterator[LocalServer]:
    """Run a server on a free loopback port for as long as the context is open."""
    app = BayeuxApp(make_settings(sections), clock=clock)
    if clock is not None:
        moved = clock
        clock.on_advance.append(lambda: app.server.core.timers.run_due(moved.now()))
    async with listening(app, "127.0.0.1", 0) as address:
        yield LocalServer(app, address, clock)


class ServerProcess(Service):
    """``bayeux-server serve`` as users run it.

    Args:
        overrides: ``section.key=value`` as the command line takes them.
        config: File below them.
    """

    name = "bayeux"

    def __init__(self, *overrides: str, config: Path | None = None) -> None:
        super().__init__()
        self._overrides = ("server.drain_wait_ms=0", "server.drain_ms=0", *overrides)
        self._config = config

    @property
    def base(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Address of the Bayeux mount."""
        return f"{self.base}/bayeux"

    def command(self) -> list[str]:
        """Return the command line."""
        config = [] if self._config is None else ["--config", str(self._config)]
        flags = [word for override in self._overrides for word in ("--set", override)]
        return [*self.program(), "serve", "--port", str(self.port), *config, *flags]

    def program(self) -> list[str]:
        """Return what is run."""
        return [str(Path(sys.executable).with_name("bayeux-server"))]

    def is_ready(self) -> bool:
        """Tell whether its port is open."""
        return accepts_connections(self.port)

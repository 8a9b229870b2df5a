"""A server with a world in it, and all its people before their screens."""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from benchmarks.care.changes import Changes, Desk
from benchmarks.care.fleet import CareFleet, ChannelsOf, editors
from benchmarks.care.moments import Moments
from benchmarks.care.requests import Requests
from benchmarks.care.world import Crew, new_secret, seed
from benchmarks.servers import Server, running
from clients.load.machine import Machine
from clients.load.pacer import Pacer
from clients.load.target import resolve

#: Connections over which tasks are changed: browsers keep theirs open.
CONNECTIONS = 50
_CONFIG = Path(__file__).with_name("care.toml")


@dataclass(frozen=True)
class Stage:
    """A running load.

    Attributes:
        machine: Looks at the server's process.
    """

    fleet: CareFleet
    desk: Desk
    requests: Requests
    machine: Machine
    crews: tuple[Crew, ...]

    def changes(self, crews: Sequence[Crew]) -> Changes:
        """Return what has the editors of some teams change their tasks."""
        team_ids = [each.team_id for each in crews]
        return Changes(self.fleet, editors(self.fleet.tabs, team_ids), self.requests, self.desk)

    def plain(self) -> Pacer:
        """Return what publishes plain messages."""
        return Pacer(self.fleet, [tab for tab in self.fleet.tabs if tab.member.publishes], batch=1)

    def sent(self) -> dict[int, int]:
        """Return how many messages each stream has had."""
        fleet = self.fleet
        return {**fleet.tasks.sent(self.desk.versions), fleet.plain.number: fleet.plain.next_sequence}


@contextmanager
def stage(
    crews: tuple[Crew, ...],
    tabs: int,
    channels_of: ChannelsOf,
    *,
    since_commit: bool,
    payload_bytes: int,
    settings: Mapping[str, object] = MappingProxyType({}),
) -> Iterator[Stage]:
    """Seed, start the server, open all tabs; end it all afterwards.

    Args:
        tabs: Of each coordinator.
        since_commit: Whether latencies run from a change's commit; else from when it was due to be sent.
        payload_bytes: Of plain messages.
        settings: Of the server's extensions, beside those of ``care.toml``: ``authorization.max_objects``.
    """
    secret = new_secret()
    with TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(seed(folder / "care.sqlite3", crews))
        origin_us = time.monotonic_ns() // 1_000
        # Before the server: it waits for somebody to read.
        pipe = folder / "commits"
        with Moments(pipe) as moments, running(_server(folder, pipe, secret, settings)) as server:
            target = resolve(server.url)
            fleet = CareFleet(target, origin_us, payload_bytes)
            moments.watch(fleet.reactor, origin_us)
            fleet.find_events(moments.of_commit if since_commit else moments.of_wish)
            for crew in crews:
                fleet.people(crew, tabs, channels_of, secret)
            fleet.publisher(crews[0].editors[0], secret)
            fleet.open()
            requests = Requests(target, fleet.reactor, CONNECTIONS)
            yield Stage(fleet, Desk(crews, moments), requests, Machine(server.pid), crews)
            fleet.reactor.close()


def _server(folder: Path, pipe: Path, secret: str, settings: Mapping[str, object]) -> Server:
    def command(port: int) -> tuple[list[str], Path]:
        places = {"care.store_url": f"sqlite:///{folder / 'care.sqlite3'}", "audit.folder": f"{folder / 'audit'}"}
        wished = {**places, **settings}
        words = [word for name, value in wished.items() for word in ("--set", f"extensions.{name}={value}")]
        program = ["env", f"CARE_BENCH_SECRET={secret}", sys.executable, "-m", "benchmarks.care.server", str(pipe)]
        return [*program, "serve", "--config", str(_CONFIG), "--port", str(port), *words], Path.cwd()

    return Server("care", "/bayeux", command)

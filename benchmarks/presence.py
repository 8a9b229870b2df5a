"""What presence costs: 5,000 people on 1,000 tasks, heartbeats every 30 s and an action every 10 s each.

Everything the server does is real (messages read from JSON, sessions, stores, windows, fan-out, encoding), except the
sockets: what would be written is encoded and counted. Time is compressed: the clock goes in steps of 20 ms, and the CPU
seconds spent are divided by the seconds simulated.

Run: ``python -m benchmarks.presence [--short] [--people N] [--tasks N] [--seconds N]``
"""

import argparse
import asyncio
import json
import logging
import random
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from typing import NamedTuple

import structlog

from bayeux_server.app import BayeuxApp
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.identity import Identity
from bayeux_server.server.origin import Origin
from bayeux_server.server.session import ServerSession
from bayeux_server.settings import Settings
from channels.presence.model import PresenceTimes
from extensions.presence.backends.memory import MemoryLockStore, MemoryPresenceStore
from extensions.presence.extension import PresenceExtension
from extensions.presence.service import PresenceService
from extensions.presence.teller import Teller

STEP_S = 0.02
HEARTBEAT_S = 30.0
ACTION_S = 10.0
KEYSTROKES = 5
#: Turns of the event loop after each step, so that all that was begun is done.
TURNS = 8


class JumpingClock:
    """Time as the benchmark tells it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        """Return the simulated seconds."""
        return self.now_s

    def wall(self) -> float:
        """Return the simulated seconds as a date."""
        return 1_763_028_000.0 + self.now_s


@dataclass
class Counted:
    """What went over the sockets that are not there."""

    received: int = 0
    deliveries: int = 0
    answers: int = 0
    bytes_out: int = 0


class CountingPipe:
    """A socket that only counts. Events and answers are told apart by their channel."""

    browser: str | None = None
    outlet = None

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def writable(self) -> bool:
        """Return True: everything is taken."""
        return True

    def wait(self, session: ServerSession) -> None:
        """Never needed."""

    def push(self, deliveries: list[Delivery]) -> None:
        """Encode and count."""
        for delivery in deliveries:
            self._counted.bytes_out += len(delivery.json)
            if delivery.channel.segments[0] == "service":
                self._counted.answers += 1
            else:
                self._counted.deliveries += 1

    def end(self, reason: str) -> None:
        """Never needed."""

    async def alive(self) -> bool:
        """Return True."""
        return True


class Send(NamedTuple):
    """A message somebody sends."""

    at_s: float
    person: int
    data: dict[str, object]


def actions(rng: random.Random, people: int, tasks: int, seconds: float) -> Iterator[Send]:
    """Yield what people do, unordered: everyone opens a task, then heartbeats and an action every ten seconds.

    An action is a second of typing (6 of 10), a switch to viewing or editing (2 of 10), one that is undone at once
    (1 of 10), or a page that is loaded anew, so leaves and joins (1 of 10).
    """
    for person in range(people):
        home = f"task_{person % tasks}"
        yield Send(0.0, person, {"type": "presence.user_joined", "task_id": home, "state": "viewing"})
        at_s = rng.uniform(1.0, 1.0 + HEARTBEAT_S)
        while at_s < seconds:
            yield Send(at_s, person, {"type": "presence.heartbeat", "task_id": home})
            at_s += HEARTBEAT_S
        at_s = rng.uniform(1.0, 1.0 + ACTION_S)
        while at_s < seconds:
            yield from _action(rng, at_s, person, home)
            at_s += ACTION_S


def _action(rng: random.Random, at_s: float, person: int, home: str) -> Iterator[Send]:
    kind = rng.random()
    if kind < 0.6:
        for stroke in range(KEYSTROKES):
            yield Send(at_s + stroke * 0.2, person, {"type": "presence.typing", "task_id": home, "field_name": "notes"})
    elif kind < 0.8:
        state = rng.choice(("viewing", "editing"))
        yield Send(at_s, person, {"type": "presence.state_changed", "task_id": home, "new_state": state})
    elif kind < 0.9:
        yield Send(at_s, person, {"type": "presence.state_changed", "task_id": home, "new_state": "editing"})
        yield Send(at_s + 0.05, person, {"type": "presence.state_changed", "task_id": home, "new_state": "viewing"})
    else:
        yield Send(at_s, person, {"type": "presence.user_left", "task_id": home})
        yield Send(at_s + 0.05, person, {"type": "presence.user_joined", "task_id": home, "state": "viewing"})


@dataclass
class Result:
    """One run.

    Attributes:
        seconds: Simulated and measured.
        cpu_s: CPU seconds spent on them, those of taking the messages off the load's heap included.
        counted: What went in and out.
    """

    seconds: float
    cpu_s: float
    counted: Counted

    @property
    def share(self) -> float:
        """CPU seconds per simulated second: the share of one core."""
        return self.cpu_s / self.seconds


class Simulation:
    """A server with presence, its people, and what they are going to send."""

    def __init__(self, people: int, tasks: int, seconds: float, window_ms: int) -> None:
        self.clock = JumpingClock()
        self.counted = Counted()
        self.server = BayeuxApp(Settings(), clock=self.clock).server
        times = PresenceTimes(window_ms=window_ms)
        presence, locks = MemoryPresenceStore(times), MemoryLockStore()
        teller = Teller(presence, locks, self.server.publish, self.clock.wall)
        service = PresenceService(presence, locks, teller, wall=self.clock.wall, wake=lambda in_s: extension.wake(in_s))
        extension = PresenceExtension(self.server, service, teller, lease_s=times.lease_ms / 1_000)
        self.server.add_extension(extension)
        self.people = [self._person(number) for number in range(people)]
        sends = actions(random.Random(1), people, tasks, seconds)
        self.load = sorted((send.at_s, send.person, self._body(send)) for send in sends)[::-1]

    async def subscribe(self, tasks: int) -> None:
        """Put everybody on the channel of their task."""
        for number, (session, _) in enumerate(self.people):
            await self._send(number, _message(session, "/meta/subscribe", subscription=f"/task/task_{number % tasks}"))

    async def advance(self, until_s: float) -> None:
        """Let the clock run, and everybody send what is theirs to send."""
        while self.clock.now_s < until_s:
            self.clock.now_s = min(until_s, self.clock.now_s + STEP_S)
            while self.server.core.timers.run_due(self.clock.now_s):
                pass
            while self.load and self.load[-1][0] <= self.clock.now_s:
                _, person, body = self.load.pop()
                await self._send(person, body)
            for _ in range(TURNS):
                await asyncio.sleep(0)

    async def _send(self, person: int, body: bytes) -> None:
        self.counted.received += 1
        await self.server.pipeline.process(self.server.reader.read(body), self.people[person][1], _no_late_answer)

    def _person(self, number: int) -> tuple[ServerSession, Origin]:
        address = f"10.0.{number // 250}.{number % 250}"
        session = self.server.lifecycle.new_session(address=address, transport="websocket")
        claims = {"name": f"Person {number}"}
        session.identity = Identity(f"u{number}", frozenset({"care_coordinator"}), None, claims)
        self.server.core.sessions.add(session)
        session.pipe = session.socket = pipe = CountingPipe(self.counted)
        return session, Origin("websocket", address, socket=pipe, pipe=pipe)

    def _body(self, send: Send) -> bytes:
        return _message(self.people[send.person][0], "/service/presence", data=send.data)


def _message(session: ServerSession, channel: str, **fields: object) -> bytes:
    return json.dumps([{"channel": channel, "clientId": session.id, **fields}]).encode()


def _no_late_answer(*_: object) -> None:
    """No connect is held here."""


async def run(people: int, tasks: int, seconds: float, window_ms: int) -> Result:
    """Simulate; measure all but the first second, in which everybody joins."""
    simulation = Simulation(people, tasks, seconds + 1.0, window_ms)
    await simulation.server.start()
    await simulation.subscribe(tasks)
    await simulation.advance(1.0)
    before, began_s = replace(simulation.counted), time.process_time()
    await simulation.advance(seconds + 1.0)
    cpu_s = time.process_time() - began_s
    after = simulation.counted
    await simulation.server.stop()
    counted = Counted(*(late - early for late, early in zip(astuple(after), astuple(before), strict=True)))
    return Result(seconds, cpu_s, counted)


def report(people: int, tasks: int, seconds: float) -> list[str]:
    """Run with and without the window, and return the lines of a report."""
    window_ms = PresenceTimes().window_ms
    coalesced = asyncio.run(run(people, tasks, seconds, window_ms))
    single = asyncio.run(run(people, tasks, seconds, 0))
    counted, without = coalesced.counted, single.counted
    load = (
        f"{people} people on {tasks} tasks, {seconds:.0f} s simulated: {counted.received / seconds:.0f} messages/s in"
    )
    cost = (
        f"{coalesced.share:.1%} of one core, {coalesced.cpu_s / counted.received * 1e6:.0f} us a message and its events"
    )
    saved = f"{1 - counted.deliveries / without.deliveries:.1%} of {without.deliveries} saved"
    relayed = f"{1 - counted.deliveries / (counted.received * people / tasks):.1%} less than relaying every message"
    return [
        f"load      {load}, {counted.deliveries / seconds:.0f} events/s out",
        f"cpu       {cost} (sockets not written); {single.share:.1%} without a window",
        f"fan-out   {counted.deliveries} events with a window of {window_ms} ms: {saved}; {relayed}",
    ]


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a tenth of the people and tasks")
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--tasks", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    chosen = parser.parse_args()
    scale = 10 if chosen.short else 1
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print("\n".join(report(chosen.people // scale, chosen.tasks // scale, chosen.seconds)))


if __name__ == "__main__":
    main()

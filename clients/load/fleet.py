"""What the sessions of one process share: the loop, the target, the counters."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from clients.load.latency import CELL_BITS
from clients.load.mark import Mark, Stream, padding
from clients.load.reactor import Reactor
from clients.load.sieve import Sieve
from clients.load.target import Target


@dataclass(slots=True)
class Recorder:
    """Latencies of what arrives, by cell, in rows of a second.

    Attributes:
        origin_us: ``CLOCK_MONOTONIC`` in microseconds at the run's origin; the same in all processes.
        row: Where latencies are counted now.
        rows: The finished rows of the measured time, oldest first.
    """

    origin_us: int
    row: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    rows: list[dict[int, int]] = field(default_factory=list)

    def now_us(self) -> int:
        """Return the time since the origin, microseconds."""
        return time.monotonic_ns() // 1000 - self.origin_us

    def turn(self, *, keep: bool) -> dict[int, int]:
        """Begin a new row and return the old one; ``keep`` it among ``rows`` if it was measured time."""
        done, self.row = dict(self.row), defaultdict(int)
        if keep:
            self.rows.append(done)
        return done


@dataclass(slots=True)
class Tally:
    """What happened to the sessions of one process.

    Attributes:
        ready: Sessions that came to the point where they hold a connect and all their subscriptions.
        failed: Sessions that did not, by reason.
        dropped: Ready sessions that the server or the network ended, by reason.
        accepted: Publishes with a successful reply.
        refused: Publishes with an unsuccessful one, by error.
        resumed: Sessions that came back after a cut with the clientId they had.
        renewed: Sessions that came back with a new handshake.
        cut_polls: Held connects that ended without an answer.
    """

    ready: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    renewed: int = 0
    cut_polls: int = 0

    def add(self, other: "Tally") -> None:
        """Add what happened in another process."""
        self.ready += other.ready
        self.failed += other.failed
        self.dropped += other.dropped
        self.accepted += other.accepted
        self.refused += other.refused
        self.resumed += other.resumed
        self.renewed += other.renewed
        self.cut_polls += other.cut_polls


class Fleet:
    """The surroundings of a session.

    Attributes:
        streams: Every stream of the run by number, so that a delivery can be checked against what was published.
        handshake_ext: ``ext`` of every handshake, such as a token; may be empty.
    """

    def __init__(self, target: Target, streams: dict[int, Stream], payload_bytes: int, origin_us: int) -> None:
        self.target, self.streams, self.payload_bytes = target, streams, payload_bytes
        self.reactor = Reactor()
        self.recorder = Recorder(origin_us)
        self.tally = Tally()
        self.sieve = Sieve(self._is_as_published)
        self.handshake_ext: dict[str, Any] = {}
        self._padding = padding(payload_bytes)

    def deliver(self, expected: dict[int, int], irregular: Callable[[int, int], None], marks: Sequence[Mark]) -> None:
        """Count deliveries that have just arrived: the receiver's hot path, some 0.3 us each."""
        recorder = self.recorder
        row, now_us = recorder.row, time.monotonic_ns() // 1000 - recorder.origin_us
        for stream, sequence, due_us in marks:
            if expected.get(stream) == sequence:
                expected[stream] = sequence + 1
            else:
                irregular(stream, sequence)
            row[(now_us - due_us) >> CELL_BITS] += 1

    def _is_as_published(self, event: object) -> bool:
        if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
            return False
        data = event["data"]
        try:
            stream = self.streams[int(str(data["m"])[2:7], 16)]
        except (KeyError, ValueError):
            return False
        # A publisher's id may come with the event (Faye sends it); its clientId is a secret and must not.
        return event.get("channel") == stream.channel and data.get("x") == self._padding and "clientId" not in event

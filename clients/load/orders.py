"""What the conductor and its worker processes say to each other; all of it pickles."""

from dataclasses import dataclass, field

from clients.load.fleet import Tally
from clients.load.latency import Row
from clients.load.ledger import Count


@dataclass(frozen=True, slots=True)
class Open:
    """Open all sessions. Answered by Progress until the last is ready or failed, then by :class:`Opened`."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Cut all connections at once, ``start_us`` after the origin, and let every session come back."""

    start_us: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish ``rate`` messages a second in all processes together, from ``start_us`` after the origin."""

    start_us: int
    rate: float


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait for what is still on its way, then close the books: ``sent`` is how much each stream of the run has sent."""

    sent: dict[int, int]


@dataclass(frozen=True, slots=True)
class Leave:
    """Disconnect and end."""


Order = Open | Reconnect | Publish | Settle | Leave


@dataclass(frozen=True, slots=True)
class Present:
    """The process has started and waits for orders."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How it goes: the last second of one process."""

    ready: int
    failed: int
    received: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Opened:
    """Every session is ready or failed; ``row`` counts how long each took, from its scheduled moment."""

    tally: Tally
    row: Row
    cpu_s: float
    wall_s: float
    busy_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Sent:
    """The publishing is over; how many messages each stream of this process has sent since the run began."""

    sent: dict[int, int]


@dataclass(frozen=True, slots=True)
class Result:
    """What one process has seen of a run.

    Attributes:
        rows: Latencies of the deliveries that arrived in each second of the measured time.
        drain: Those of deliveries that arrived after it.
        lag: How late this process sent, by cell: what a latency owes to the harness.
        sent: Publishes of the whole run, warm-up included.
        unsent: Publishes that were due, but whose session was gone.
        late: Publishes that were still not sent when the measured time ended.
        count: Of the subscribers that read as fast as they can.
        slow_count: Of the slow ones.
        cpu_s: CPU time of this process in the measured time.
        busy_share: Share of the measured time in which this process did not wait, 0 to 1.
    """

    rows: list[Row]
    drain: Row
    lag: Row
    sent: int
    unsent: int
    late: int
    count: Count
    slow_count: Count
    tally: Tally
    malformed: int
    foreign: int
    cpu_s: float
    busy_share: float
    slow_dropped: int = 0
    acts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broken:
    """The process cannot go on; ``reason`` is for people."""

    reason: str


Report = Present | Progress | Opened | Sent | Result | Broken

"""The loads that servers are compared under: one row of the table each."""

from dataclasses import dataclass, replace
from enum import Enum, auto

from clients.load.plan import Plan, Scenario, Transport


class Kind(Enum):
    """What a row measures."""

    WORK = auto()
    """Deliveries (or sessions) per server CPU second, at a given rate."""
    LIMIT = auto()
    """The highest rate with p99 within :data:`MAX_P99_MS` and nothing lost, and what it takes."""
    IDLE = auto()
    """Memory of a session that does nothing."""


MAX_P99_MS = 500.0


@dataclass(frozen=True, slots=True)
class Row:
    """A load; ``plan`` lacks only the URL.

    Attributes:
        key: Short and stable, for files and plots.
        title: For the table.
        goal: What our server shall reach: a multiple of the better peer's figure, or an absolute figure.
        in_short: Whether the short form measures it.
        has_ceiling: Whether the C loop can do the same: one frame, or a batch of them joined, to 500 sockets.
    """

    key: str
    title: str
    plan: Plan
    goal: str = ""
    kind: Kind = Kind.WORK
    in_short: bool = True
    has_ceiling: bool = False

    def at(self, url: str, *, duration_s: float, warm_up_s: float) -> Plan:
        """Return the plan for the server at ``url``."""
        return replace(self.plan, url=url, duration_s=duration_s, warm_up_s=warm_up_s)


def fan_out(rate: float, clients: int = 500, batch: int = 1, transport: Transport = Transport.WEBSOCKET) -> Plan:
    """Return a fan-out of 300 bytes to ``clients`` subscribers at ``rate`` deliveries a second."""
    publishers = 4 if transport is Transport.WEBSOCKET else 8
    return Plan(
        "",
        Scenario.FAN_OUT,
        transport,
        clients=clients,
        publishers=publishers,
        rate=rate,
        batch=batch,
        payload_bytes=300,
    )


def chat(rate: float, transport: Transport = Transport.WEBSOCKET) -> Plan:
    """Return a chat: 1,000 clients in 10 of 100 channels each, 50 bytes, batches of 10 publishes."""
    return Plan(
        "",
        Scenario.CHAT,
        transport,
        clients=1_000,
        channels=100,
        channels_each=10,
        publishers=100,
        batch=10,
        rate=rate,
        payload_bytes=50,
    )


def audience(size: int, *, in_short: bool = True) -> Row:
    """Return a fan-out at 20k deliveries a second to ``size`` subscribers."""
    return Row(
        f"audience-{size}", f"audience of {size:,}, 20k/s", fan_out(20_000, clients=size), "2 x", in_short=in_short
    )


# The row of highest rates leaves a server in pieces: it comes last. Each server's search begins near its limit.
FIRST_RATES = {"ours": 400_000.0, "Faye 1.4.3": 40_000.0, "CometD 8.0.6": 150_000.0}

ROWS = (
    Row(
        "idle",
        "memory of an idle session",
        Plan("", Scenario.IDLE, clients=5_000, concurrency=100),
        "16 KiB",
        kind=Kind.IDLE,
    ),
    Row("fan-out-50k", "fan-out 500, 50k/s", fan_out(50_000), "2 x", has_ceiling=True),
    Row("fan-out-100k", "fan-out 500, 100k/s", fan_out(100_000), "2 x", has_ceiling=True),
    Row("fan-out-burst", "fan-out 500, bursts of 8, 100k/s", fan_out(100_000, batch=8), "0.8 of C", has_ceiling=True),
    Row("chat-50k", "chat 1,000 in 10 of 100, 50k/s", chat(50_000), "2 x"),
    Row("chat-100k", "chat 1,000 in 10 of 100, 100k/s", chat(100_000), "2 x", in_short=False),
    Row(
        "point-to-point",
        "point to point 1,000, 5k/s",
        Plan("", Scenario.POINT_TO_POINT, clients=1_000, rate=5_000, payload_bytes=300),
        "1.5 x",
    ),
    Row(
        "polling-fan-out",
        "long-polling fan-out 500, 20k/s",
        fan_out(20_000, transport=Transport.LONG_POLLING),
        "1.2 x",
    ),
    Row("polling-chat", "long-polling chat, 25k/s", chat(25_000, Transport.LONG_POLLING), "1.2 x"),
    audience(100, in_short=False),
    audience(1_000),
    audience(5_000, in_short=False),
    audience(10_000, in_short=False),
    Row(
        "handshake-storm",
        "handshake + subscribe storm, 2,000 at 1k/s",
        # At a rate, as all others: unbounded, the fastest server brings the harness to its own limit.
        Plan("", Scenario.HANDSHAKE_STORM, clients=2_000, rate=1_000),
        "3,175/s",
    ),
    Row("limit", "highest rate, p99 <= 500 ms", fan_out(FIRST_RATES["ours"]), "150k/s, 1.2 x", kind=Kind.LIMIT),
)

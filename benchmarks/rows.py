"""The loads that servers are compared under: one row of the table each."""

from dataclasses import dataclass, replace

from clients.load.plan import Plan, Scenario, Transport


@dataclass(frozen=True, slots=True)
class Row:
    """A load; ``plan`` lacks only the URL.

    Attributes:
        key: Short and stable, for files and plots.
        title: For the table.
        in_short: Whether the short form measures it.
        has_ceiling: Whether the C loop can do the same: one frame, or a batch of them joined, to 500 sockets.
    """

    key: str
    title: str
    plan: Plan
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


ROWS = (
    Row("fan-out-50k", "fan-out 500, 50k/s", fan_out(50_000), has_ceiling=True),
    Row("fan-out-100k", "fan-out 500, 100k/s", fan_out(100_000), has_ceiling=True),
    Row("fan-out-burst", "fan-out 500, bursts of 8, 100k/s", fan_out(100_000, batch=8), has_ceiling=True),
    Row("chat-50k", "chat 1,000 in 10 of 100, 50k/s", chat(50_000)),
    Row("chat-100k", "chat 1,000 in 10 of 100, 100k/s", chat(100_000), in_short=False),
    Row(
        "point-to-point",
        "point to point 1,000, 5k/s",
        Plan("", Scenario.POINT_TO_POINT, clients=1_000, rate=5_000, payload_bytes=300),
    ),
    Row("polling-fan-out", "long-polling fan-out 500, 20k/s", fan_out(20_000, transport=Transport.LONG_POLLING)),
    Row("polling-chat", "long-polling chat, 25k/s", chat(25_000, Transport.LONG_POLLING), in_short=False),
    Row("audience-100", "audience of 100, 20k/s", fan_out(20_000, clients=100), in_short=False),
    Row("audience-1000", "audience of 1,000, 20k/s", fan_out(20_000, clients=1_000), in_short=False),
    Row("audience-5000", "audience of 5,000, 20k/s", fan_out(20_000, clients=5_000), in_short=False),
    Row(
        "handshake-storm",
        "handshake + subscribe storm, 2,000",
        Plan("", Scenario.HANDSHAKE_STORM, clients=2_000, rate=0, concurrency=100),
    ),
)

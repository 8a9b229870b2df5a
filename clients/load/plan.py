"""What a run shall do, as the command line says it."""

from dataclasses import dataclass
from enum import StrEnum

# Stands in reports for a token or another secret.
HIDDEN = "..."


class Scenario(StrEnum):
    """What the clients do; the names are those of the commands."""

    FAN_OUT = "fan-out"
    CHAT = "chat"
    POINT_TO_POINT = "point-to-point"
    SLOW_READERS = "slow-readers"
    IDLE = "idle"
    HANDSHAKE_STORM = "handshake-storm"
    RECONNECT_STORM = "reconnect-storm"
    CARE_DAY = "care-day"


class Transport(StrEnum):
    """Bayeux connection types that the harness speaks."""

    WEBSOCKET = "websocket"
    LONG_POLLING = "long-polling"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        url: The server's Bayeux URL.
        clients: Sessions; in fan-out the subscribers, publishers come on top.
        channels: Channels in all (chat).
        channels_each: Channels that each client is in (chat).
        publishers: Sessions that publish.
        rate: Deliveries per second that the publishes shall cause, or sessions per second in a handshake storm
            (0: as fast as ``concurrency`` allows).
        batch: Publishes in one frame or request.
        payload_bytes: Size of ``data`` as JSON.
        idle_channels: Silent channels that each client subscribes to as well.
        slow_share: Share of the subscribers that read slowly, 0 to 1 (slow readers).
        slow_bytes_per_s: How fast those read.
        processes: Worker processes of the harness.
        warm_up_s: Load before the measured time.
        duration_s: Measured time.
        drain_s: How long to wait for what is still on its way after the last publish.
        concurrency: Sessions that open at the same time, per process.
        prefix: First segments of every channel, such as ``/load``.
        tasks_per_team: Tasks of a team of ten coordinators (care day).
        seed: Of everything that is drawn by lot.
    """

    url: str
    scenario: Scenario
    transport: Transport = Transport.WEBSOCKET
    clients: int = 500
    channels: int = 1
    channels_each: int = 1
    publishers: int = 4
    rate: float = 10_000
    batch: int = 1
    payload_bytes: int = 300
    idle_channels: int = 0
    slow_share: float = 0.0
    slow_bytes_per_s: int = 2_048
    processes: int = 1
    warm_up_s: float = 2.0
    duration_s: float = 10.0
    drain_s: float = 5.0
    concurrency: int = 50
    prefix: str = "/load"
    tasks_per_team: int = 20
    seed: int = 1
    headers: tuple[str, ...] = ()
    handshake_ext: str = ""

"""The report of a run: what is written as JSON, drawn on the page and compared."""

from pathlib import Path

import msgspec

from clients.load.ledger import Count
from clients.load.plan import Plan, Transport

TRANSPORT_NAMES = {Transport.WEBSOCKET: "WebSocket", Transport.LONG_POLLING: "long-polling"}


class Second(msgspec.Struct, frozen=True):
    """One second of the measured time; ``server_*`` are 0 where no process was given."""

    second: int
    deliveries: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    server_cores: float = 0.0
    server_rss_mib: float = 0.0


class ServerUse(msgspec.Struct, frozen=True):
    """What the server's process used in the measured time; work is deliveries or sessions, ``rss_mib`` the peak."""

    cpu_s: float
    cores: float
    rss_mib: float
    rss_before_mib: float
    rss_after_mib: float
    work_per_cpu_s: float
    cpu_us_per_work: float

    def kib_per_session(self, sessions: int) -> float:
        """Return how many KiB the server grew by for each of ``sessions``."""
        return (self.rss_after_mib - self.rss_before_mib) * 1024 / sessions


class HarnessUse(msgspec.Struct, frozen=True):
    """What the harness itself used.

    Attributes:
        busiest_share: Share of the time in which its busiest process did not wait, 0 to 1.
        other_cores: What neither server nor harness used of the machine; only known with ``--pid``.
        lag_p99_ms: How late publishes left: the part of the latencies that is the harness's own.
    """

    cpu_s: float
    busiest_share: float
    cpu_us_per_work: float
    lag_p99_ms: float
    other_cores: float | None = None


class Sessions(msgspec.Struct, frozen=True):
    """What became of the sessions; reasons by how many they struck."""

    ready: int
    failed: dict[str, int]
    dropped: dict[str, int]
    refused: dict[str, int]
    resumed: int = 0
    renewed: int = 0
    cut_polls: int = 0
    slow_dropped: int = 0
    seconds: float = 0.0


class Step(msgspec.Struct, frozen=True):
    """One rate that ``--find-limit`` tried.

    Attributes:
        why: Why it was not held.
        harness_failed: Whether it was the harness that could not keep up: the server may well hold this rate.
    """

    rate: float
    deliveries_per_s: float
    p50_ms: float
    p99_ms: float
    loss_share: float
    server_cores: float
    held: bool
    why: str = ""
    harness_failed: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        format: Of this file; a reader refuses another.
        started: ISO 8601, UTC.
        command: That runs it again, but for what was secret in it.
        plan: Without the values of its headers and its handshake ext.
        work: What is counted as work: ``deliveries`` or ``sessions``.
        per_s: Work done per second of the measured time.
        histogram: The latencies as an encoded HDR histogram (base64), microseconds.
        valid: Whether the figures are the server's and not the harness's own.
        reasons: Why they are not.
        notes: What a reader should know besides.
    """

    format: int = 1
    started: str
    command: str = ""
    machine: str
    plan: Plan
    work: str
    asked_per_s: float
    per_s: float
    sent: int
    accepted: int
    count: Count
    slow_count: Count
    malformed: int
    foreign: int
    latency_ms: dict[str, float]
    histogram: str
    seconds: list[Second]
    sessions: Sessions
    acts: dict[str, int] = {}
    server: ServerUse | None
    harness: HarnessUse
    steps: list[Step] = []
    limit_per_s: float | None = None
    valid: bool
    reasons: list[str]
    notes: list[str]

    @property
    def title(self) -> str:
        """What ran, in words."""
        return f"{self.plan.scenario.replace('-', ' ').capitalize()} over {TRANSPORT_NAMES[self.plan.transport]}"

    @property
    def is_harness_limit(self) -> bool:
        """Whether a search ended where the harness could not keep up, so that the server may hold more."""
        return any(step.harness_failed and step.rate > (self.limit_per_s or 0.0) for step in self.steps)

    @property
    def is_flawed(self) -> bool:
        """Whether any delivery went wrong."""
        count = self.count
        return bool(count.lost or count.duplicated or count.out_of_order or count.misdelivered or self.malformed)


def write(report: Report, path: Path) -> None:
    """Write ``report`` as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def read(path: Path) -> Report:
    """Return the report in ``path``.

    Raises:
        ValueError: If it is none, or of another format.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: this is no report of a load run ({error})") from error

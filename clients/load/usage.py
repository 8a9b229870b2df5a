"""What this process itself used between two moments."""

import time
from dataclasses import dataclass, field

from clients.load.reactor import Reactor


@dataclass(slots=True)
class Usage:
    """CPU time, wall time and time not spent waiting, since it was made."""

    reactor: Reactor
    _cpu_s: float = field(default_factory=time.process_time)
    _wall_s: float = field(default_factory=time.monotonic)
    _busy_ns: int = -1

    def __post_init__(self) -> None:
        self._busy_ns = self.reactor.busy_ns

    @property
    def cpu_s(self) -> float:
        """CPU seconds of this process."""
        return time.process_time() - self._cpu_s

    @property
    def wall_s(self) -> float:
        """Seconds."""
        return time.monotonic() - self._wall_s

    @property
    def busy_share(self) -> float:
        """Share of the time in which the loop did not wait, 0 to 1: near 1 it could not keep up."""
        return (self.reactor.busy_ns - self._busy_ns) / 1e9 / max(self.wall_s, 1e-9)

"""What the server, the harness and everything else on this machine use."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from clients.load.errors import HarnessError


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Use of the machine up to one moment.

    Attributes:
        at_s: When, seconds (monotonic).
        server_cpu_s: CPU seconds of the server with its children, since they started.
        server_rss_bytes: Its resident memory.
        harness_cpu_s: CPU seconds of this process with its children, a server that it started apart.
        machine_cpu_s: CPU seconds of all processes of the machine, since boot.
    """

    at_s: float
    server_cpu_s: float = 0.0
    server_rss_bytes: int = 0
    harness_cpu_s: float = 0.0
    machine_cpu_s: float = 0.0


@dataclass(slots=True)
class Machine:
    """Looks at the machine.

    Args:
        pid: The server's process where it runs on this machine; its children count with it.
    """

    pid: int | None = None

    def look(self) -> Snapshot:
        """Return what has been used until now.

        Raises:
            HarnessError: If the server's process is not there.
        """
        if self.pid is not None and not psutil.pid_exists(self.pid):
            raise HarnessError(f"there is no process {self.pid}: the server has ended, or --pid names another")
        times = psutil.cpu_times()
        server = _family(self.pid) if self.pid is not None else []
        server_cpu_s, server_rss_bytes = _usage(server)
        harness_cpu_s, _ = _usage(member for member in _family(os.getpid()) if member not in server)
        # What processes used: interrupts and a stolen CPU belong to none of them.
        busy_s = times.user + times.nice + times.system - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0)
        return Snapshot(time.monotonic(), server_cpu_s, server_rss_bytes, harness_cpu_s, busy_s)


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _usage(processes: Iterable[psutil.Process]) -> tuple[float, int]:
    cpu_s, rss_bytes = 0.0, 0
    for process in processes:
        try:
            with process.oneshot():
                times = process.cpu_times()
                cpu_s += times.user + times.system
                rss_bytes += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return cpu_s, rss_bytes


@dataclass(frozen=True, slots=True)
class Use:
    """What was used between two snapshots, in cores (CPU seconds per second)."""

    wall_s: float
    server_cpu_s: float
    server_rss_bytes: int
    harness_cpu_s: float
    other_cores: float

    @classmethod
    def between(cls, before: Snapshot, after: Snapshot) -> "Use":
        """Return the use from ``before`` to ``after``."""
        wall_s = max(after.at_s - before.at_s, 1e-9)
        server_cpu_s = after.server_cpu_s - before.server_cpu_s
        harness_cpu_s = after.harness_cpu_s - before.harness_cpu_s
        other_s = after.machine_cpu_s - before.machine_cpu_s - server_cpu_s - harness_cpu_s
        return cls(wall_s, server_cpu_s, after.server_rss_bytes, harness_cpu_s, max(0.0, other_s / wall_s))

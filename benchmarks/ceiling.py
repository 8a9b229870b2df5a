"""The raw ceiling: a C loop that writes a ready-made frame to 500 sockets, and a C loop that throws it away."""

import json
import statistics
import subprocess
from dataclasses import dataclass

from benchmarks import installs
from benchmarks.servers import free_port

SOCKETS = 500
DELIVERIES = 200_000


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Deliveries per CPU second of the C loop: one frame a send, and eight frames joined in one send."""

    single: float
    joined: float


def measure(rounds: int = 3) -> Ceiling:
    """Return the medians of ``rounds`` interleaved runs of both forms.

    Raises:
        installs.CannotInstall: If there is no C compiler.
    """
    folder = installs.ceiling()
    single, joined = [], []
    for _ in range(rounds):
        single.append(_run(str(folder), batch=1))
        joined.append(_run(str(folder), batch=8))
    return Ceiling(statistics.median(single), statistics.median(joined))


def _run(folder: str, batch: int) -> float:
    port = free_port()
    rounds = DELIVERIES // SOCKETS // batch
    sender = subprocess.Popen(
        ["./rawsend", str(port), str(SOCKETS), str(rounds), str(batch)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if sender.stderr is None:
        raise RuntimeError("the sender has no error stream")
    sender.stderr.readline()  # "ready": it listens
    subprocess.run(["./drain", str(port), str(SOCKETS), "raw"], cwd=folder, capture_output=True, check=True, timeout=60)
    output, _ = sender.communicate(timeout=60)
    return 1e6 / float(json.loads(output)["cpu_us"])

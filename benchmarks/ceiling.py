"""The raw ceiling: a C loop that writes a ready-made frame to 500 sockets, and a C loop that throws it away."""

import json
import statistics
import subprocess

from benchmarks import installs
from benchmarks.servers import free_port

SOCKETS = 500
SECONDS = 3


def measure(rate: float, batch: int, rounds: int) -> float:
    """Return deliveries per CPU second of the C loop at ``rate`` deliveries a second, the median of ``rounds`` runs.

    At the same rate as the servers it is compared with: flat out, its receiver never sleeps, and waking the receiver
    is what a send costs most.

    Args:
        rate: Deliveries a second.
        batch: Frames joined in one send.
        rounds: Runs.

    Raises:
        installs.CannotInstall: If there is no C compiler.
    """
    folder = str(installs.ceiling())
    return statistics.median(_run(folder, rate, batch) for _ in range(rounds))


def _run(folder: str, rate: float, batch: int) -> float:
    port = free_port()
    sends = round(rate * SECONDS / SOCKETS / batch)
    sender = subprocess.Popen(
        ["./rawsend", str(port), str(SOCKETS), str(sends), str(batch), str(rate)],
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

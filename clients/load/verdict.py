"""Whether a run says something about the server, or only about the harness."""

from collections.abc import Iterator

from clients.load.report import HarnessUse

# Above this share of busy time a receiver has queues of its own, and their wait would be read as the server's.
MAX_BUSY_SHARE = 0.85
# Publishes that leave later than this on the 99th percentile make latencies of their own.
MAX_LAG_P99_MS = 25.0
MIN_SENT_SHARE = 0.99
# What other processes may use before figures per CPU second mean little on a small machine.
MAX_OTHER_CORES = 0.15


def objections(harness: HarnessUse, *, sent: int, planned: int, opened: int, wanted: int) -> Iterator[str]:
    """Yield the reasons why a run is not valid; none if it is.

    Args:
        harness: What the harness used.
        sent: Publishes sent.
        planned: Publishes that were due.
        opened: Sessions that became ready.
        wanted: Sessions that should have.
    """
    if harness.busiest_share > MAX_BUSY_SHARE:
        yield (
            f"the harness was the bottleneck: its busiest process had work for {harness.busiest_share:.0%} of the time"
            f" (limit {MAX_BUSY_SHARE:.0%}); lower the rate or raise --processes"
        )
    if harness.lag_p99_ms > MAX_LAG_P99_MS:
        yield (
            f"the harness sent late: {harness.lag_p99_ms:.1f} ms at the 99th percentile (limit {MAX_LAG_P99_MS:.0f} ms)"
        )
    if sent < planned * MIN_SENT_SHARE:
        yield f"only {sent} of {planned} publishes were sent"
    if opened < wanted:
        yield f"only {opened} of {wanted} sessions became ready"


def remarks(harness: HarnessUse, server_cpu_us: float | None) -> Iterator[str]:
    """Yield what a reader should know of a run that is valid nevertheless; ``server_cpu_us`` is per piece of work."""
    if server_cpu_us and harness.cpu_us_per_work > server_cpu_us:
        yield (
            f"the harness spent more CPU on each piece of work ({harness.cpu_us_per_work:.1f} us) than the server"
            f" ({server_cpu_us:.1f} us): on a machine with few cores they compete"
        )
    if harness.other_cores is not None and harness.other_cores > MAX_OTHER_CORES:
        yield f"other processes used {harness.other_cores:.2f} cores of this machine meanwhile"

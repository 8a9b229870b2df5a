"""Latencies as counts in cells, then as HDR histograms."""

from collections.abc import Iterable, Mapping, Sequence

from hdrh.histogram import HdrHistogram

# One cell of a row, microseconds as a power of two: 8 us. Counting in cells keeps one row of a second small
# (1,000 entries for latencies up to 8 ms) and its error below one per cent from 0.8 ms on.
CELL_BITS = 3
CELL_US = 1 << CELL_BITS

# An hour, at three significant digits: a latency beyond it is counted as an hour.
HIGHEST_US = 3_600_000_000
PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}

Row = dict[int, int]
"""How many deliveries by latency cell, of those that arrived in one second."""


def histogram(rows: Iterable[Mapping[int, int]]) -> HdrHistogram:
    """Return the latencies of ``rows`` in one HDR histogram, in microseconds."""
    merged = HdrHistogram(1, HIGHEST_US, 3)
    for row in rows:
        for cell, count in row.items():
            merged.record_value(min(max(1, (cell << CELL_BITS) + CELL_US // 2), HIGHEST_US), count)
    return merged


def percentiles_ms(values: HdrHistogram) -> dict[str, float]:
    """Return p50, p95, p99, p99_9 and max of ``values`` in milliseconds; all 0.0 if there are none."""
    figures = {name: values.get_value_at_percentile(at) / 1000 for name, at in PERCENTILES.items()}
    return figures | {"max": values.get_max_value() / 1000 if values.get_total_count() else 0.0}


def quick_percentiles_ms(row: Mapping[int, int], at: Sequence[float]) -> list[float]:
    """Return the latencies in milliseconds below which the fractions ``at`` (rising) lie: for live figures."""
    total, seen, wanted, found = sum(row.values()), 0, list(at), []
    for cell in sorted(row):
        seen += row[cell]
        while wanted and seen >= wanted[0] * total:
            found.append((cell << CELL_BITS) / 1000)
            wanted.pop(0)
    return found + [0.0] * len(wanted)

"""A plot of latencies: which share of the deliveries had arrived after how long."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clients.load.latency import CELL_BITS, Row, histogram, percentiles_ms

COLOURS: Final = ("#2a7f62", "#3b6ea5", "#d1772b")
BOUND: Final = "#b23a48"

mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bayeux", "font.family": "sans-serif", "font.size": 9})


def draw(rows: Mapping[str, Sequence[Row]], bounds_ms: Mapping[int, float], path: Path) -> Path:
    """Draw one curve for each load, and the bounds, as SVG and PNG; return the SVG's path.

    Args:
        rows: Latencies by name of the load.
        bounds_ms: What a percentile must stay below.
        path: Without suffix.
    """
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for colour, (name, counted) in zip(COLOURS, rows.items(), strict=False):
        _curve(axes, name, counted, colour)
    for percentile, bound_ms in bounds_ms.items():
        _bound(axes, percentile, bound_ms)
    axes.set_xscale("log")
    axes.set_xlim(1, 1_000)
    axes.set_ylim(0, 102)
    axes.set_xticks([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.set_yticks([0, 25, 50, 75, 95])
    axes.set_xlabel("ms from change to screen (logarithmic)")
    axes.set_ylabel("deliveries that have arrived")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e6e9", linewidth=0.6)
    axes.legend(frameon=False, loc="lower right")
    for suffix in (".svg", ".png"):
        figure.savefig(path.with_suffix(suffix), dpi=150, metadata={"Date": None} if suffix == ".svg" else None)
    return path.with_suffix(".svg")


def _curve(axes: Axes, name: str, rows: Sequence[Row], colour: str) -> None:
    counts: dict[int, int] = {}
    for row in rows:
        for cell, count in row.items():
            counts[cell] = counts.get(cell, 0) + count
    total, seen = sum(counts.values()), 0
    at_ms: list[float] = []
    share: list[float] = []
    for cell in sorted(counts):
        seen += counts[cell]
        at_ms.append(((cell + 1) << CELL_BITS) / 1_000)
        share.append(100 * seen / total)
    figures = percentiles_ms(histogram(rows))
    label = f"{name}: p50 {figures['p50']:.1f}, p95 {figures['p95']:.1f} ms"
    axes.plot(at_ms, share, color=colour, label=label, linewidth=1.8)


def _bound(axes: Axes, percentile: int, bound_ms: float) -> None:
    """Mark that the curve must pass left of a point."""
    axes.plot([bound_ms], [percentile], marker="o", color=BOUND, markersize=6)
    axes.annotate(
        f"p{percentile} below {bound_ms:g} ms",
        (bound_ms, percentile),
        xytext=(8, -4),
        textcoords="offset points",
        color=BOUND,
    )

"""The plot that the README shows."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.measuring import median
from benchmarks.rows import Kind, Row
from benchmarks.servers import Server
from benchmarks.table import By, Ceilings

COLOURS = ("#2a7f62", "#d1772b", "#3b6ea5", "#b9bec4")
BAR_HEIGHT = 0.8

mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bayeux", "font.family": "sans-serif", "font.size": 9})


def versus(rows: Sequence[Row], servers: Sequence[Server], measures: By, ceilings: Ceilings, path: Path) -> Path:
    """Draw work per server CPU second by row and server, as SVG and PNG; return the SVG's path.

    An overloaded server has no bar: its figure belongs to another rate.
    """
    shown = [row for row in rows if measures.get(row.key) and row.kind is not Kind.IDLE]
    figure = Figure(figsize=(9, 0.9 + 0.75 * len(shown)), layout="constrained")
    axes = figure.subplots()
    height = BAR_HEIGHT / max(1, len(servers))
    for number, server in enumerate(servers):
        places, lengths = [], []
        for place, row in enumerate(shown):
            runs = measures[row.key].get(server.name)
            if runs and not median(runs).is_overloaded:
                places.append(place - BAR_HEIGHT / 2 + (number + 0.5) * height)
                lengths.append(median(runs).per_cpu_s)
        bars = axes.barh(places, lengths, height=height * 0.92, color=COLOURS[number % len(COLOURS)], label=server.name)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=7)
    limited = [(place, ceilings[row.key]) for place, row in enumerate(shown) if row.key in ceilings]
    if limited:
        axes.scatter(
            [limit for _, limit in limited],
            [place for place, _ in limited],
            s=180,
            marker="|",
            color="#b23a48",
            label="C loop",
        )
    axes.set_yticks(range(len(shown)), [row.title for row in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    # A storm does thousands a CPU second, joined frames do hundreds of thousands: each decade has the same room.
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel("deliveries (storm: sessions) per server CPU second (logarithmic); more is better")
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(servers) + 1)
    for suffix in (".svg", ".png"):
        figure.savefig(path.with_suffix(suffix), dpi=150, metadata={"Date": None} if suffix == ".svg" else None)
    return path.with_suffix(".svg")

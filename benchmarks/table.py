"""Tables of measures."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Measure, median
from benchmarks.rows import Row
from benchmarks.servers import BARE_PYTHON, COMETD, FAYE, OURS, Server

Ceilings = Mapping[str, float]
"""What the C loop does per CPU second, by row key."""

WIDTH = 160

By = Mapping[str, Mapping[str, Sequence[Measure]]]


def make_console() -> Console:
    """Return a console wide enough for the tables where there is no terminal to ask."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=WIDTH, highlight=False)


def sentence(found: Measure) -> str:
    """Return one run in words."""
    text = f"{found.per_cpu_s:,.0f} per CPU second, p50 {found.p50_ms:.1f}, p99 {found.p99_ms:.1f} ms"
    if found.is_overloaded:
        text += f", overloaded ({found.per_s:,.0f}/s)"
    return text + ("" if not found.flaws else f" [{'; '.join(found.flaws)}]")


def versus(rows: Sequence[Row], servers: Sequence[Server], measures: By, ceilings: Ceilings) -> Table:
    """Return deliveries (or sessions) per server CPU second with p50 and p99, and our ratios."""
    table = Table("", *(server.name for server in servers), "C loop", "x best peer", "of bare Python", "of C ceiling")
    for row in rows:
        found = {name: median(runs) for name, runs in measures.get(row.key, {}).items() if runs}
        cells = [_cell(found.get(server.name)) for server in servers]
        limit = f"{ceilings[row.key]:,.0f}" if row.key in ceilings else ""
        table.add_row(row.title, *cells, limit, *_ratios(row, found, ceilings))
    table.caption = (
        "per server CPU second (p50, p99 ms); * disturbed or otherwise flawed run; peers that were overloaded are not"
        " compared with"
    )
    return table


def _cell(found: Measure | None) -> str:
    if found is None:
        return ""
    if found.is_overloaded:
        return f"overloaded ({found.per_s:,.0f}/s)"
    flawed = "*" if found.flaws else ""
    return f"{found.per_cpu_s:,.0f}{flawed} ({found.p50_ms:,.1f}, {found.p99_ms:,.1f})"


def _ratios(row: Row, found: Mapping[str, Measure], ceilings: Ceilings) -> list[str]:
    ours = found.get(OURS.name)
    if ours is None or ours.is_overloaded:
        return ["", "", ""]
    peers = [
        found[name].per_cpu_s for name in (FAYE.name, COMETD.name) if name in found and not found[name].is_overloaded
    ]
    best = max(peers, default=0.0)
    bare = found.get(BARE_PYTHON.name)
    ceiling = ceilings.get(row.key, 0.0)
    return [
        f"{ours.per_cpu_s / best:.2f}" if best else "",
        f"{ours.per_cpu_s / bare.per_cpu_s:.2f}" if bare and bare.per_cpu_s and not bare.is_overloaded else "",
        f"{ours.per_cpu_s / ceiling:.2f}" if ceiling else "",
    ]

"""Tables of measures, for a terminal and for the README."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Measure, median
from benchmarks.rows import Kind, Row
from benchmarks.servers import BARE_PYTHON, COMETD, FAYE, OURS, Server

Ceilings = Mapping[str, float]
"""What the C loop does per CPU second, by row key."""

By = Mapping[str, Mapping[str, Sequence[Measure]]]
"""Runs by row key and server name."""

WIDTH = 190
CAPTION = (
    "Deliveries (storm: sessions) per server CPU second, in brackets p50 and p99 in ms. x: our figure as a multiple"
    " of the better peer's (memory: as a share); p99 likewise, where less is better. Peers that were overloaded are not"
    " compared with. *: a disturbed or otherwise flawed run; >: the harness reached its own limit first."
)


def make_console() -> Console:
    """Return a console wide enough for the tables where there is no terminal to ask."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=WIDTH, highlight=False)


def sentence(found: Measure) -> str:
    """Return one run in words."""
    text = f"{found.per_cpu_s:,.0f} per CPU second, p50 {found.p50_ms:.1f}, p99 {found.p99_ms:.1f} ms"
    if found.kib_per_session:
        text = f"{found.kib_per_session:.1f} KiB per session"
    if found.limit_per_s:
        text = f"{found.limit_per_s:,.0f}/s at most, {text}"
    elif found.is_overloaded:
        text += f", overloaded ({found.per_s:,.0f}/s)"
    return text + "".join(f" [{line}]" for line in found.flaws)


def versus(rows: Sequence[Row], servers: Sequence[Server], measures: By, ceilings: Ceilings) -> Table:
    """Return what each server did, with our ratios, for a terminal."""
    head, *lines = cells(rows, servers, measures, ceilings)
    table = Table(*head, caption=CAPTION)
    for line in lines:
        table.add_row(*line)
    return table


def markdown(rows: Sequence[Row], servers: Sequence[Server], measures: By, ceilings: Ceilings) -> str:
    """Return the same table as Markdown."""
    head, *lines = cells(rows, servers, measures, ceilings)
    text = [_line(head), _line("---" for _ in head), *(_line(line) for line in lines)]
    return "\n".join([*text, "", CAPTION])


def _line(parts: Iterable[str]) -> str:
    return f"| {' | '.join(part.replace('*', chr(92) + '*').replace('>', '&gt;') for part in parts)} |"


def cells(rows: Sequence[Row], servers: Sequence[Server], measures: By, ceilings: Ceilings) -> list[list[str]]:
    """Return the heads of the columns, and for each row that was measured its cells."""
    lines = [["", *(server.name for server in servers), "C loop", "x", "goal", "p99 x", "of bare Python", "of C loop"]]
    for row in rows:
        found = {name: median(runs) for name, runs in measures.get(row.key, {}).items() if runs}
        if found:
            limit = f"{ceilings[row.key]:,.0f}" if row.key in ceilings else ""
            shown = [_cell(row, found.get(server.name)) for server in servers]
            lines.append([row.title, *shown, limit, *_ratios(row, found, ceilings)])
    return lines


def _cell(row: Row, found: Measure | None) -> str:
    if found is None:
        return ""
    flawed = "*" if found.flaws else ""
    if row.kind is Kind.IDLE:
        return f"{found.kib_per_session:.1f} KiB{flawed}"
    if row.kind is Kind.LIMIT:
        beyond = "> " if found.is_harness_limit else ""
        rate = f"{beyond}{found.limit_per_s:,.0f}/s{flawed} on {found.server_cores:.2f} cores"
        return f"{rate}, {found.per_cpu_s:,.0f} ({found.p50_ms:,.1f}, {found.p99_ms:,.1f})"
    if found.is_overloaded:
        return f"overloaded ({found.per_s:,.0f}/s)"
    return f"{found.per_cpu_s:,.0f}{flawed} ({found.p50_ms:,.1f}, {found.p99_ms:,.1f})"


def _ratios(row: Row, found: Mapping[str, Measure], ceilings: Ceilings) -> list[str]:
    ours = found.get(OURS.name)
    if ours is None or ours.is_overloaded:
        return ["", row.goal, "", "", ""]
    peers = [found[name] for name in (FAYE.name, COMETD.name) if name in found and not found[name].is_overloaded]
    if row.kind is Kind.IDLE:
        least = min((peer.kib_per_session for peer in peers), default=0.0)
        return [_ratio(ours.kib_per_session, least), row.goal, "", "", ""]
    bare = found.get(BARE_PYTHON.name)
    return [
        _ratio(ours.per_cpu_s, max((peer.per_cpu_s for peer in peers), default=0.0)),
        row.goal,
        _ratio(ours.p99_ms, min((peer.p99_ms for peer in peers), default=0.0)),
        _ratio(ours.per_cpu_s, bare.per_cpu_s if bare and not bare.is_overloaded else 0.0),
        _ratio(ours.per_cpu_s, ceilings.get(row.key, 0.0)),
    ]


def _ratio(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.2f}" if theirs else ""

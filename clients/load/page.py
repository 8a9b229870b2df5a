"""The report as one HTML page that needs nothing but itself."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from clients.load import plots
from clients.load.report import Report
from clients.load.tables import PERCENTILES, groups, latency_title

STYLE = (Path(__file__).with_name("page.css")).read_text(encoding="utf-8")


def write(report: Report, path: Path) -> None:
    """Write the page of ``report`` to ``path``."""
    path.write_text(render(report), encoding="utf-8")


def render(report: Report) -> str:
    """Return the page of ``report``."""
    drawings = "".join(f"<figure>{drawing}</figure>" for drawing in plots.drawings(report))
    sections = "".join(_section(title, _facts(facts)) for title, facts in groups(report))
    steps = _section("Rates tried", _steps(report)) if report.steps else ""
    command = f"<pre>{escape(report.command)}</pre>" if report.command else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(report.title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<header><h1>{escape(report.title)}</h1>"
        f"<p>{escape(report.plan.url)}<br>{escape(report.started)} · {escape(report.machine)}</p></header>"
        f'{_verdict(report)}<div class="cards">{"".join(_cards(report))}</div>'
        f'<div class="plots">{drawings}</div>{steps}<div class="facts">{sections}</div>{command}</body></html>\n'
    )


def _verdict(report: Report) -> str:
    notes = "".join(f"<li>{escape(line)}</li>" for line in [*report.reasons, *report.notes])
    says = "This run is valid." if report.valid else "This run is not valid: the figures are not the server's."
    kind = "valid" if report.valid else "invalid"
    if report.valid and report.is_flawed:
        kind, says = "flawed", "This run is valid, and deliveries went wrong in it."
    return f'<section class="verdict {kind}"><p>{says}</p>{f"<ul>{notes}</ul>" if notes else ""}</section>'


def _cards(report: Report) -> Iterator[str]:
    """Yield the figures that one looks for first."""
    if report.limit_per_s is not None:
        yield _card("highest rate held", f"{report.limit_per_s:,.0f}", "deliveries/s")
    if report.per_s:
        asked = f"{report.work}/s" + (f" of {report.asked_per_s:,.0f} asked" if report.asked_per_s else "")
        yield _card("rate", f"{report.per_s:,.0f}", asked)
    for name in ("p50", "p99", "max"):
        yield _card(f"{latency_title(report).lower()}, {PERCENTILES[name]}", f"{report.latency_ms[name]:,.1f}", "ms")
    if report.work == "deliveries":
        count = report.count
        wrong = f"{count.duplicated:,} doubled, {count.out_of_order:,} out of order"
        yield _card("lost", f"{count.lost:,}", f"of {count.expected:,}; {wrong}")
    if report.server:
        yield _card("server memory", f"{report.server.rss_mib:,.0f}", "MiB")
        if report.server.work_per_cpu_s and report.per_s:
            cores = f"{report.work} per CPU second, {report.server.cores:.2f} cores"
            yield _card("server efficiency", f"{report.server.work_per_cpu_s:,.0f}", cores)


def _card(name: str, value: str, unit: str) -> str:
    return f"<div><small>{escape(name)}</small><b>{value}</b><span>{escape(unit)}</span></div>"


def _section(title: str, table: str) -> str:
    return f"<section><h2>{escape(title)}</h2><table>{table}</table></section>"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)


def _steps(report: Report) -> str:
    return "<tr><th>asked</th><th>delivered</th><th>p50 ms</th><th>p99 ms</th><th></th></tr>" + "".join(
        f'<tr class="{"held" if step.held else "broken"}"><td>{step.rate:,.0f}/s</td>'
        f"<td>{step.deliveries_per_s:,.0f}/s</td><td>{step.p50_ms:,.1f}</td><td>{step.p99_ms:,.1f}</td>"
        f"<td>{escape(step.why or 'held')}</td></tr>"
        for step in report.steps
    )

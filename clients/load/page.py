"""The report as one HTML page that needs nothing but itself."""

from html import escape
from pathlib import Path

from clients.load import plots
from clients.load.report import Report
from clients.load.tables import facts

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1d2329;background:#fff}
h1{font-size:1.4rem;margin-bottom:0}table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e3e6e9}td{font-variant-numeric:tabular-nums}
th{font-weight:500;width:16rem}svg{width:100%;height:auto}
code{background:#f2f4f6;padding:.1rem .3rem;overflow-wrap:anywhere}
.valid{color:#2a7f62}.invalid{color:#b23a48;font-weight:600}small{color:#69737d}
"""


def write(report: Report, path: Path) -> None:
    """Write the page of ``report`` to ``path``."""
    path.write_text(render(report), encoding="utf-8")


def render(report: Report) -> str:
    """Return the page of ``report``."""
    title = f"{report.plan.scenario} over {report.plan.transport}"
    verdict = '<p class="valid">This run is valid.</p>'
    if not report.valid:
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in report.reasons)
        verdict = f'<p class="invalid">This run is not valid.</p><ul>{reasons}</ul>'
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    table = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts(report))
    drawings = [plots.latency_histogram(report)]
    if report.seconds:
        drawings = [plots.latency_over_time(report), *drawings, plots.rate_against_latency(report)]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1>"
        f"<small>{escape(report.started)} · {escape(report.machine)} · {escape(report.plan.url)}</small>{verdict}"
        f"<ul>{notes}</ul><table>{table}</table>{''.join(drawings)}"
        f"<p><code>{escape(report.command)}</code></p></body></html>\n"
    )

"""``bayeux load compare``: two reports side by side."""

from dataclasses import asdict
from typing import Any

from clients.load.limit import loss_share
from clients.load.report import Report

Row = tuple[str, str, str, str]
"""What, in the first report, in the second, and the second as a multiple of the first."""

# Where the runs are meant to differ.
_MAY_DIFFER = {
    "url",
    "headers",
    "handshake_ext",
    "processes",
    "seed",
    "prefix",
    "duration_s",
    "warm_up_s",
    "drain_s",
}


def differences(first: Report, second: Report) -> list[str]:
    """Return in what machines and plans differ, so that the figures do not compare: names with both values."""
    one, two = _conditions(first), _conditions(second)
    return [f"{name}: {one[name]} and {two[name]}" for name in one if one[name] != two[name]]


def rows(first: Report, second: Report) -> list[Row]:
    """Return the figures of both reports and their ratios."""
    figures = [(name, value, _figures(second)[name]) for name, value in _figures(first).items()]
    return [(name, _show(one), _show(two), f"{two / one:.2f}" if one and two else "") for name, one, two in figures]


def _conditions(report: Report) -> dict[str, Any]:
    plan = {name: value for name, value in asdict(report.plan).items() if name not in _MAY_DIFFER}
    return {"machine": report.machine, **plan}


def _figures(report: Report) -> dict[str, float]:
    figures = {
        f"{report.work}/s": report.per_s,
        "lost %": loss_share(report) * 100,
        "duplicated": float(report.count.duplicated),
        "out of order": float(report.count.out_of_order),
    }
    figures |= {f"{name.replace('_', '.')} ms": value for name, value in report.latency_ms.items()}
    server = report.server
    figures[f"{report.work}/server CPU second"] = server.work_per_cpu_s if server else 0.0
    figures["server cores"] = server.cores if server else 0.0
    figures["server MiB"] = server.rss_mib if server else 0.0
    return figures | {"highest rate held": report.limit_per_s or 0.0}


def _show(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}".rstrip("0").rstrip(".")

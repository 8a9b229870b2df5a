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
    """Return the figures that both reports have, and their ratios."""
    one, two = _figures(first), _figures(second)
    return [
        (name, _show(value), _show(two[name]), f"{two[name] / value:.2f}" if value and two[name] else "")
        for name, value in one.items()
        if name in two
    ]


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
    if server := report.server:
        figures[f"{report.work}/server CPU second"] = server.work_per_cpu_s
        figures["server cores"] = server.cores
        figures["server MiB"] = server.rss_mib
    return figures if report.limit_per_s is None else figures | {"highest rate held": report.limit_per_s}


def _show(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}".rstrip("0").rstrip(".")

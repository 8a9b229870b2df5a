"""Measures the harness against a bare echo: it must cost less per delivery than the barest server."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from clients.load.echo import serve
from clients.load.live import LiveDisplay
from clients.load.plan import Plan, Scenario
from clients.load.report import Report
from clients.load.runner import run

# Deliveries a second, and publishes in one request: one frame at a time, and frames joined in bursts.
LOADS = ((10_000.0, 1), (40_000.0, 1), (40_000.0, 8))


@contextmanager
def echo_server() -> Iterator[tuple[str, int]]:
    """Start a bare echo in a process of its own; yields its URL and its pid, and ends it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"ws://127.0.0.1:{ours.recv()}/bayeux", process.pid or 0
    finally:
        process.terminate()
        process.join()
        ours.close()
        theirs.close()


def examine(console: Console, seconds: int) -> int:
    """Print what a delivery costs the harness and the echo; return 0 if the harness is the cheaper, else 1."""
    table = Table("load", "harness us", "echo us", "p50 ms", "p99 ms", "lost", "verdict")
    passed = True
    for rate, batch in LOADS:
        with echo_server() as (url, pid):
            plan = Plan(url, Scenario.FAN_OUT, clients=200, rate=rate, batch=batch, duration_s=seconds)
            with LiveDisplay(plan) as display:
                report = run(plan, display, pid)
        good = _is_good(report)
        passed = passed and good
        table.add_row(
            f"{rate:,.0f}/s" + (f", bursts of {batch}" if batch > 1 else ""),
            f"{report.harness.cpu_us_per_work:.2f}",
            f"{report.server.cpu_us_per_work:.2f}" if report.server else "",
            f"{report.latency_ms['p50']:.2f}",
            f"{report.latency_ms['p99']:.2f}",
            str(report.count.lost),
            "good" if good else "; ".join(report.reasons) or "the harness is the dearer",
        )
    console.print(table)
    return 0 if passed else 1


def _is_good(report: Report) -> bool:
    server = report.server
    return (
        report.valid
        and not report.count.lost
        and server is not None
        and report.harness.cpu_us_per_work < server.cpu_us_per_work
    )

"""What an idle WebSocket session costs the server in memory: 5,000 of them, each in one channel of its own.

Run: ``python -m benchmarks.idle [--short] [--servers ours]...``
"""

import click
from rich.console import Console
from rich.table import Table

from benchmarks.installs import CannotInstall
from benchmarks.servers import COMETD, FAYE, OURS, Server, ServerError, running
from benchmarks.table import make_console
from clients.load.errors import HarnessError
from clients.load.machine import Snapshot
from clients.load.plan import Plan, Scenario
from clients.load.runner import run as run_plan

SESSIONS = 5_000
# A first few let the server allocate what it needs once, whatever the number of sessions.
FIRST_SESSIONS = 200
SETTLE_S = 5

KNOWN = {"ours": OURS, "faye": FAYE, "cometd": COMETD}


@click.command()
@click.option("--short", is_flag=True, help="Ours only.")
@click.option("--servers", "names", multiple=True, type=click.Choice(sorted(KNOWN)), help="Default: all. Repeatable.")
def main(*, short: bool, names: tuple[str, ...]) -> None:
    """Measure the memory of idle sessions."""
    run(make_console(), [KNOWN[name] for name in names or (["ours"] if short else list(KNOWN))])


def run(console: Console, servers: list[Server]) -> None:
    """Measure, and print KiB of resident memory for each session."""
    table = Table("", "KiB per idle session", "server MiB before", "after")
    for server in servers:
        try:
            kib, before_mib, after_mib = measure(server)
        except (CannotInstall, ServerError, HarnessError) as error:
            console.print(f"{server.name} left out: {error}", markup=False, highlight=False)
            continue
        table.add_row(server.name, f"{kib:.1f}", f"{before_mib:.0f}", f"{after_mib:.0f}")
    console.print(table)


def measure(server: Server) -> tuple[float, float, float]:
    """Return KiB per session of ``server``, and its resident MiB before and after."""
    with running(server) as target:
        run_plan(_plan(target.url, FIRST_SESSIONS, seconds=1), _silent, target.pid)
        report = run_plan(_plan(target.url, SESSIONS, seconds=SETTLE_S), _silent, target.pid)
    use = report.server
    if use is None or not report.valid:
        raise HarnessError("; ".join(report.reasons) or "the server's process was not measured")
    kib = (use.rss_after_mib - use.rss_before_mib) * 1024 / report.sessions.ready
    return kib, use.rss_before_mib, use.rss_after_mib


def _plan(url: str, sessions: int, *, seconds: int) -> Plan:
    return Plan(url, Scenario.IDLE, clients=sessions, duration_s=seconds, concurrency=100)


def _silent(_phase: str, _progress: object, _snapshot: Snapshot) -> None:
    return None


if __name__ == "__main__":
    main()

"""What an idle WebSocket session costs the server in memory: 5,000 of them, each in one channel of its own.

Run: ``python -m benchmarks.idle [--servers ours]...``
"""

import click
from rich.console import Console

from benchmarks import versus
from benchmarks.rows import ROWS, Kind
from benchmarks.servers import COMETD, FAYE, OURS, Server
from benchmarks.table import make_console

KNOWN = {"ours": OURS, "faye": FAYE, "cometd": COMETD}


@click.command()
@click.option("--servers", "names", multiple=True, type=click.Choice(sorted(KNOWN)), help="Default: all. Repeatable.")
def main(*, names: tuple[str, ...]) -> None:
    """Measure the memory of idle sessions."""
    run(make_console(), [KNOWN[name] for name in names or KNOWN])


def run(console: Console, servers: list[Server]) -> None:
    """Measure, and print KiB of resident memory for each session."""
    versus.run([row for row in ROWS if row.kind is Kind.IDLE], servers, versus.SHORT, console, name="idle")


if __name__ == "__main__":
    main()

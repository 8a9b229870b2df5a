"""``python -m benchmarks``: every comparison, one after the other; ``--short`` in at most ten minutes on two cores."""

import click

from benchmarks import audience, idle, versus
from benchmarks.rows import ROWS
from benchmarks.servers import COMETD, FAYE, OURS
from benchmarks.table import make_console


@click.command()
@click.option("--short", is_flag=True, help="At most ten minutes: fewer rows, one round.")
def main(*, short: bool) -> None:
    """Print the tables of all benchmarks of the Bayeux server."""
    console = make_console()
    console.rule("Ours, the peers, bare Python and the C ceiling")
    rows = [row for row in ROWS if row.in_short or not short]
    versus.run(rows, list(versus.SERVERS), versus.SHORT if short else versus.LONG, console)
    console.rule("Cost of a delivery by audience")
    audience.run(console, short=short)
    console.rule("Memory of an idle session")
    idle.run(console, [OURS] if short else [OURS, FAYE, COMETD])


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")

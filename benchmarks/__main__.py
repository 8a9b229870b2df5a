"""``python -m benchmarks``: every comparison, one after the other; ``--short`` in at most ten minutes on two cores."""

import click

from benchmarks import audience, versus
from benchmarks.rows import ROWS
from benchmarks.table import make_console


@click.command()
@click.option("--short", is_flag=True, help="At most ten minutes: one round, shorter runs.")
@click.option("--readme", is_flag=True, help="Put table and plot into the README.")
def main(*, short: bool, readme: bool) -> None:
    """Print the tables of all comparisons of the Bayeux server."""
    console = make_console()
    rows = [row for row in ROWS if row.in_short or not short]
    versus.run(rows, list(versus.SERVERS), versus.SHORT if short else versus.LONG, console, into_readme=readme)
    if not short:
        console.rule("Cost of a delivery by audience, and beside other channels")
        audience.run(console, short=False)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")

"""Ours against Faye 1.4.3, CometD 8.0.6 on Jetty 12, the raw C ceiling, and bare Python, in one run.

Each round starts one server after the other, warms it, loads it with every row, and stops it; the table shows medians
over the rounds, at equal rates only. Run: ``python -m benchmarks.versus [--short] [--rounds N] [--only KEY]...``
"""

import dataclasses
import json
import platform
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks import ceiling, plot, table
from benchmarks.installs import CannotInstall
from benchmarks.measuring import Measure, measure, median
from benchmarks.rows import ROWS, Row
from benchmarks.servers import BARE_PYTHON, COMETD, FAYE, OURS, Server, ServerError, running
from clients.load.errors import HarnessError
from clients.load.plan import Transport

# Warm-up of each further row on a server that is warm.
WARM_AGAIN_S = 3.0

RESULTS = Path(__file__).parent / "results"
SERVERS = (OURS, FAYE, COMETD, BARE_PYTHON)

Measures = dict[str, dict[str, list[Measure]]]
"""Runs by row key and server name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """How thorough to be: seconds of each run, rounds, repeats of a disturbed run, and when to begin no more (s)."""

    duration_s: int
    rounds: int
    repeats: int
    budget_s: float
    warm_up_share: float = 1.0


LONG = Form(duration_s=10, rounds=3, repeats=3, budget_s=7_200)
SHORT = Form(duration_s=4, rounds=1, repeats=1, budget_s=400, warm_up_share=0.5)


def compare(rows: list[Row], servers: list[Server], form: Form, console: Console) -> Measures:
    """Measure all ``rows`` on all ``servers``; say what goes on, and what had to be left out."""
    found: Measures = defaultdict(lambda: defaultdict(list))
    began_s = time.monotonic()
    for number in range(form.rounds):
        for server in servers:
            console.print(f"round {number + 1} of {form.rounds}: {server.name}", highlight=False)
            try:
                _load(server, rows, form, found, began_s + form.budget_s, console)
            except (CannotInstall, ServerError, HarnessError) as error:
                console.print(f"  left out: {error}", markup=False, highlight=False)
    return found


def _load(server: Server, rows: list[Row], form: Form, found: Measures, ends_s: float, console: Console) -> None:
    wanted = [row for row in rows if server.polls or row.plan.transport is not Transport.LONG_POLLING]
    warm_up_s = server.warm_up_s * form.warm_up_share
    with running(server) as target:
        for row in wanted:
            if time.monotonic() > ends_s:
                console.print(f"  {row.title}: left out, the time is up", highlight=False)
                continue
            plan = row.at(target.url, duration_s=form.duration_s, warm_up_s=warm_up_s)
            try:
                result = measure(target, plan, repeats=form.repeats)
            except HarnessError as error:
                console.print(f"  {row.title}: {error}", markup=False, highlight=False)
                continue
            found[row.key][server.name].append(result)
            console.print(f"  {row.title}: {table.sentence(result)}", markup=False, highlight=False)
            # Warm now; a little for the new load's own connections, and for what only this load uses.
            warm_up_s = min(warm_up_s, WARM_AGAIN_S)


def write(measures: Measures, ceilings: dict[str, float], name: str) -> Path:
    """Write the medians with machine and date as JSON into the results, and return the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    medians = {
        key: {server: dataclasses.asdict(median(runs)) for server, runs in by.items()} for key, by in measures.items()
    }
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {platform.python_version()}",
        "c_loop": ceilings,
        "rows": medians,
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def measure_ceilings(rows: list[Row], rounds: int, console: Console) -> dict[str, float]:
    """Return what the C loop does per CPU second by row key; without those it cannot do here, saying why."""
    found: dict[str, float] = {}
    for row in rows:
        if row.has_ceiling:
            try:
                found[row.key] = ceiling.measure(row.plan.rate, row.plan.batch, rounds)
            except CannotInstall as error:
                console.print(f"C loop left out: {error}", markup=False)
                break
            console.print(f"C loop: {row.title}: {found[row.key]:,.0f} per CPU second")
    return found


@click.command()
@click.option("--short", is_flag=True, help="One round of 4 s runs, fewer rows; the JVM warmed for half its time.")
@click.option("--rounds", type=click.IntRange(1), help="Instead of 3.")
@click.option("--seconds", type=click.IntRange(1), help="Of each run, instead of 10.")
@click.option("--only", multiple=True, type=click.Choice([row.key for row in ROWS]), help="These rows. Repeatable.")
@click.option("--servers", "names", multiple=True, type=click.Choice([one.name.split()[0].lower() for one in SERVERS]))
def main(
    *, short: bool, rounds: int | None, seconds: int | None, only: tuple[str, ...], names: tuple[str, ...]
) -> None:
    """Compare with Faye, CometD, bare Python and the C ceiling."""
    console = table.make_console()
    form = SHORT if short else LONG
    form = dataclasses.replace(form, rounds=rounds or form.rounds, duration_s=seconds or form.duration_s)
    rows = [row for row in ROWS if row.key in only or (not only and (row.in_short or not short))]
    servers = [server for server in SERVERS if not names or server.name.split()[0].lower() in names]
    run(rows, servers, form, console)


def run(rows: list[Row], servers: list[Server], form: Form, console: Console, name: str = "versus") -> None:
    """Compare, print the table, write results and plot."""
    ceilings = measure_ceilings(rows, form.rounds, console)
    measures = compare(rows, servers, form, console)
    console.print(table.versus(rows, servers, measures, ceilings))
    if form is SHORT:
        console.print("Short form: one round, the JVM warmed for 15 s only. The long form takes medians of three.")
    path = write(measures, ceilings, name)
    drawing = plot.versus(rows, servers, measures, ceilings, RESULTS / name)
    console.print(f"Written: {path}, {drawing}", highlight=False)


if __name__ == "__main__":
    main()

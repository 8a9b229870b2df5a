"""Ours against Faye 1.4.3, CometD 8.0.6 on Jetty 12, the raw C ceiling, and bare Python, in one run.

Each round starts one server after the other, warms it, loads it with every row, and stops it; the table shows medians
over the rounds, at equal rates only. Run: ``python -m benchmarks.versus [--short] [--rounds N] [--only KEY]...``
"""

import dataclasses
import time
from collections import defaultdict

import click
from rich.console import Console

from benchmarks import ceiling, plot, results, table
from benchmarks.installs import CannotInstall
from benchmarks.measuring import Measure, measure, measure_idle, measure_limit
from benchmarks.rows import FIRST_RATES, ROWS, Kind, Row
from benchmarks.servers import BARE_PYTHON, COMETD, FAYE, OURS, Running, Server, ServerError, running
from clients.load.errors import HarnessError
from clients.load.plan import Transport

SERVERS = (OURS, FAYE, BARE_PYTHON, COMETD)

Measures = dict[str, dict[str, list[Measure]]]
"""Runs by row key and server name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """How thorough to be.

    Attributes:
        duration_s: Of each run.
        warm_again_s: Warm-up of each further row on a server that is warm.
        warm_up_share: Part of a server's own warm-up, 0 to 1.
        repeats: Of a disturbed run.
        budget_s: After that time no further row is begun.
    """

    duration_s: int
    rounds: int
    repeats: int
    budget_s: float
    warm_again_s: float = 3.0
    warm_up_share: float = 1.0


LONG = Form(duration_s=10, rounds=3, repeats=3, budget_s=10_800)
SHORT = Form(duration_s=3, rounds=1, repeats=1, budget_s=540, warm_again_s=1.5, warm_up_share=0.5)


def compare(rows: list[Row], servers: list[Server], form: Form, console: Console) -> Measures:
    """Measure all ``rows`` on all ``servers``; say what goes on, and what had to be left out."""
    found: Measures = defaultdict(lambda: defaultdict(list))
    began_s = time.monotonic()
    for number in range(form.rounds):
        for server in servers:
            console.print(f"round {number + 1} of {form.rounds}: {server.name}")
            try:
                _load(server, rows, form, found, began_s + form.budget_s, console)
            except (CannotInstall, ServerError, HarnessError) as error:
                console.print(f"  left out: {error}", markup=False)
    return found


def _load(server: Server, rows: list[Row], form: Form, found: Measures, ends_s: float, console: Console) -> None:
    wanted = [row for row in rows if _can(server, row)]
    warm_up_s = server.warm_up_s * form.warm_up_share
    with running(server) as target:
        for row in wanted:
            if time.monotonic() > ends_s:
                console.print(f"  {row.title}: left out, the time is up")
                continue
            try:
                result = _measure(target, row, form, warm_up_s)
            except (HarnessError, ServerError) as error:
                console.print(f"  {row.title}: left out: {error}", markup=False)
                continue
            found[row.key][server.name].append(result)
            console.print(f"  {row.title}: {table.sentence(result)}", markup=False)
            if row.kind is not Kind.IDLE:
                # Warm now; a little for the new load's own connections, and for what only this load uses.
                warm_up_s = min(warm_up_s, form.warm_again_s)


def _can(server: Server, row: Row) -> bool:
    if server is BARE_PYTHON:
        # It knows no long-polling, has no limit of its own to find, and keeps nothing for a session.
        return row.kind is Kind.WORK and row.plan.transport is not Transport.LONG_POLLING
    return True


def _measure(target: Running, row: Row, form: Form, warm_up_s: float) -> Measure:
    plan = row.at(target.url, duration_s=form.duration_s, warm_up_s=warm_up_s)
    if row.kind is Kind.IDLE:
        return measure_idle(target.server, plan, repeats=form.repeats)
    if row.kind is Kind.LIMIT:
        plan = dataclasses.replace(plan, rate=FIRST_RATES[target.server.name])
        return measure_limit(target, plan, repeats=form.repeats)
    return measure(target, plan, repeats=form.repeats)


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
@click.option("--short", is_flag=True, help="One round of 3 s runs; the JVM warmed for half its time.")
@click.option("--rounds", type=click.IntRange(1), help="Instead of 3.")
@click.option("--seconds", type=click.IntRange(1), help="Of each run, instead of 10.")
@click.option("--only", multiple=True, type=click.Choice([row.key for row in ROWS]), help="These rows. Repeatable.")
@click.option("--servers", "names", multiple=True, type=click.Choice([one.name.split()[0].lower() for one in SERVERS]))
@click.option("--readme", is_flag=True, help="Put table and plot into the README.")
def main(
    *, short: bool, rounds: int | None, seconds: int | None, only: tuple[str, ...], names: tuple[str, ...], readme: bool
) -> None:
    """Compare with Faye, CometD, bare Python and the C ceiling."""
    form = SHORT if short else LONG
    form = dataclasses.replace(form, rounds=rounds or form.rounds, duration_s=seconds or form.duration_s)
    rows = [row for row in ROWS if row.key in only or (not only and (row.in_short or not short))]
    servers = [server for server in SERVERS if not names or server.name.split()[0].lower() in names]
    run(rows, servers, form, table.make_console(), into_readme=readme)


def run(
    rows: list[Row],
    servers: list[Server],
    form: Form,
    console: Console,
    *,
    name: str = "versus",
    into_readme: bool = False,
) -> None:
    """Compare, print the table, write results and plot, and these ``into_readme`` if wished."""
    began_s = time.monotonic()
    ceilings = measure_ceilings(rows, form.rounds, console)
    measures = compare(rows, servers, form, console)
    console.print(table.versus(rows, servers, measures, ceilings))
    taken_s = time.monotonic() - began_s
    console.print(f"{results.machine()}; {form.rounds} rounds of {form.duration_s} s, {taken_s / 60:.1f} minutes")
    path = results.write(measures, ceilings, name)
    drawing = plot.versus(rows, servers, measures, ceilings, path)
    console.print(f"Written: {path}, {drawing}")
    if into_readme:
        results.write_readme(table.markdown(rows, servers, measures, ceilings), drawing, taken_s)


if __name__ == "__main__":
    main()

"""What a delivery costs as the audience grows, and beside many other channels: it should cost the same.

One channel, 300 bytes, 20k deliveries a second, 100 to 5,000 WebSocket subscribers (10,000 in the long form); then 500
subscribers with none and with 40 silent channels each, 20,000 in all. Run: ``python -m benchmarks.audience [--short]``
"""

from dataclasses import replace

import click
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Measure, measure, median
from benchmarks.rows import fan_out
from benchmarks.servers import OURS, running
from benchmarks.table import make_console, sentence
from clients.load.plan import Plan

RATE = 20_000
SIZES = (100, 500, 1_000, 2_000, 5_000, 10_000)
SHORT_SIZES = (100, 1_000, 5_000)
OTHER_CHANNELS_EACH = 40


@click.command()
@click.option("--short", is_flag=True, help="One run of 4 s each, up to 5,000 subscribers.")
def main(*, short: bool) -> None:
    """Measure the cost of a delivery by audience and by other channels."""
    run(make_console(), short=short)


def run(console: Console, *, short: bool) -> None:
    """Measure, and print the table with each cost as a multiple of the first."""
    plans = [(f"{size:,} subscribers", fan_out(RATE, clients=size)) for size in (SHORT_SIZES if short else SIZES)]
    plans += [
        (f"500 subscribers, {500 * others:,} other channels", replace(fan_out(RATE), idle_channels=others))
        for others in (0, OTHER_CHANNELS_EACH)
    ]
    found: dict[str, list[Measure]] = {title: [] for title, _ in plans}
    for _ in range(1 if short else 3):
        for title, plan in plans:
            result = _one(plan, short=short)
            found[title].append(result)
            console.print(f"  {title}: {sentence(result)}", highlight=False, markup=False)
    _print(console, found)


def _one(plan: Plan, *, short: bool) -> Measure:
    # A fresh server for each: the memory of the sessions before would be walked along with.
    with running(OURS) as target:
        plan = replace(plan, url=target.url, duration_s=4 if short else 10, warm_up_s=2)
        return measure(target, plan, repeats=1 if short else 3)


def _print(console: Console, found: dict[str, list[Measure]]) -> None:
    table = Table("", "us per delivery", "x the first", "p50 ms", "p99 ms")
    medians = {title: median(runs) for title, runs in found.items()}
    first = next(iter(medians.values()))
    for title, result in medians.items():
        flawed = "*" if result.flaws else ""
        ratio = first.per_cpu_s / result.per_cpu_s if result.per_cpu_s else 0.0
        cost = f"{1e6 / result.per_cpu_s:.2f}{flawed}" if result.per_cpu_s else ""
        table.add_row(title, cost, f"{ratio:.2f}", f"{result.p50_ms:.1f}", f"{result.p99_ms:.1f}")
    table.caption = "* disturbed or otherwise flawed run"
    console.print(table)


if __name__ == "__main__":
    main()

"""The design's headline: from a change to the screens of 200 coordinators, p50 below 50 ms and p95 below 150 ms.

Shown at 200 and at 2,000 coordinators on one node. They work in teams of 20, in three tabs each. A tab follows the
team's tasks and feed, its coordinator's own tasks and notifications, and one open task. For each coordinator a task is
changed every 20 s (PATCH, If-Match, SQLite): 10 and 100 changes a second. A latency runs from the moment a change was
due to be sent to the arrival of its event at one tab.

Run: ``python -m benchmarks.headline [--short]``
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from benchmarks import latency_plot
from benchmarks.care.phase import Phase, measure
from benchmarks.care.stage import stage
from benchmarks.care.world import Coordinator, Crew, crew
from benchmarks.table import make_console
from channels.views import View
from clients.load.latency import histogram, percentiles_ms

SIZES: Final = (200, 2_000)
TEAM: Final = 20
TABS: Final = 3
TASKS: Final = 40
#: Seconds between two changes for each coordinator there is.
CHANGE_EVERY_S: Final = 20
#: The design's bounds, milliseconds.
P50_MS: Final = 50
P95_MS: Final = 150
RESULTS: Final = Path(__file__).parent / "results"


class Run(NamedTuple):
    """One size."""

    coordinators: int
    phase: Phase

    @property
    def latency_ms(self) -> dict[str, float]:
        """Return p50, p95, p99, p99_9 and max."""
        return percentiles_ms(histogram(self.phase.rows))

    @property
    def is_good(self) -> bool:
        """Whether it is within the design's bounds."""
        return self.latency_ms["p50"] < P50_MS and self.latency_ms["p95"] < P95_MS


@click.command()
@click.option("--short", is_flag=True, help="Only 200 coordinators, for 10 s instead of 30.")
def main(*, short: bool) -> None:
    """Measure from change to screen."""
    raise SystemExit(0 if run(make_console(), short=short) else 1)


def run(console: Console, *, short: bool) -> bool:
    """Measure, print the table, draw the plot, and return whether the bounds are kept."""
    sizes = SIZES[:1] if short else SIZES
    runs = [Run(size, _measure(size, duration_s=10 if short else 30)) for size in sizes]
    console.print(_table(runs))
    for each in runs:
        for flaw in each.phase.flaws:
            console.print(f"  flawed, {each.coordinators} coordinators: {flaw}", markup=False)
    console.print(f"Written: {_write(runs)}", highlight=False)
    return all(each.is_good for each in runs)


def _table(runs: Sequence[Run]) -> Table:
    table = Table("coordinators", "tabs", "changes/s", "deliveries/s", "p50 ms", "p95 ms", "p99 ms", "server cores")
    for each in runs:
        phase, latency_ms = each.phase, each.latency_ms
        table.add_row(
            f"{each.coordinators:,}",
            f"{each.coordinators * TABS:,}",
            f"{each.coordinators / CHANGE_EVERY_S:.0f}",
            f"{phase.deliveries / phase.wall_s:,.0f}",
            *(f"{latency_ms[at]:.1f}" for at in ("p50", "p95", "p99")),
            f"{phase.cpu_s / phase.wall_s:.2f}",
        )
    table.caption = "from the moment a change was due to be sent to the arrival of its event at a tab"
    return table


def _measure(coordinators: int, duration_s: int) -> Phase:
    crews = tuple(crew(f"team{number}", TEAM, TASKS) for number in range(coordinators // TEAM))
    with stage(crews, TABS, _channels, since_commit=False, payload_bytes=300) as on_stage:
        rate = coordinators / CHANGE_EVERY_S
        return measure(on_stage, lambda: on_stage.changes(crews), rate, warm_up_s=5, duration_s=duration_s, repeats=0)


def _channels(team: Crew, coordinator: Coordinator, tab: int) -> tuple[str, ...]:
    user_id = coordinator.user.user_id
    lists = (
        team.task_list,
        f"/activity_feed/{team.team_id}",
        f"/task_list/assigned_to/{user_id}",
        f"/notifications/{user_id}",
    )
    if coordinator.view is View.HIDDEN:
        return lists
    number = team.coordinators.index(coordinator) * TABS + tab
    return (*lists, f"/task/{team.tasks[number % len(team.tasks)].id}")


def _write(runs: Sequence[Run]) -> Path:
    """Write the figures as JSON and the plot beside them, and return the plot."""
    RESULTS.mkdir(exist_ok=True)
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": [
            {"coordinators": each.coordinators, "deliveries": each.phase.deliveries, "cpu_s": each.phase.cpu_s}
            | {"latency_ms": each.latency_ms, "flaws": each.phase.flaws}
            for each in runs
        ],
    }
    (RESULTS / "headline.json").write_text(json.dumps(content, indent=2) + "\n")
    rows = {f"{each.coordinators:,} coordinators": each.phase.rows for each in runs}
    return latency_plot.draw(rows, {50: P50_MS, 95: P95_MS}, RESULTS / "headline")


if __name__ == "__main__":
    main()

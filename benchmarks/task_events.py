"""Tasks changed over HTTP, told to 200 coordinators with three tabs each; against the same without views and checks.

All are in one team. Half of them see its tasks whole, three in ten redacted, two in ten not at all. Four loads take
turns, on one server with the same sessions, at one rate:

* events: tasks are changed (PATCH, If-Match, SQLite, outbox) and told in the team's list, to 480 of the 600 tabs;
* plain: messages of the same mean size are published on a channel without views and checks, to the same 480 tabs;
* changes: tasks of another team are changed, whom nobody watches;
* nothing: what the server spends on 600 open tabs alone.

Latencies run from the store's commit to the client (plain: from when the message was due). The fan-out of events costs
what events cost less changes, that of plain messages what they cost less nothing.

Decisions are warm: they live for 60 s, and a task is told every 2 s. With ``--cold`` they live for 1 s, so that what
every reader may see is decided anew for every event.

Run: ``python -m benchmarks.task_events [--short] [--cold]``
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.care.changes import notes
from benchmarks.care.phase import Phase, measure
from benchmarks.care.stage import stage
from benchmarks.care.world import Coordinator, Crew, crew
from benchmarks.table import make_console
from channels.services.caller import random_id
from channels.tasks.changes import TaskChanges, updated
from channels.tasks.events import event_of
from channels.views import View, shown
from clients.load.latency import histogram, percentiles_ms
from clients.load.pacer import Pacer

COORDINATORS: Final = 200
TABS: Final = 3
TASKS: Final = 50
#: Changes a second: 12,000 deliveries a second.
RATE: Final = 25
#: In it every task is changed once and a half, so that the decisions about it are warm.
WARM_UP_S: Final = 3
#: How long a decision lives with ``--cold``; a task is told every two seconds.
COLD_S: Final = 1
#: What the fan-out of events must reach of the plain one, in deliveries per CPU second.
TARGET: Final = 0.7
EVENTS, PLAIN, CHANGES, NOTHING = "events", "plain", "changes", "nothing"

Phases = dict[str, list[Phase]]


@click.command()
@click.option("--short", is_flag=True, help="Two rounds of 4 s phases instead of three of 10 s.")
@click.option("--cold", is_flag=True, help="Decide anew for every event who may see it.")
def main(*, short: bool, cold: bool) -> None:
    """Measure what telling task events costs, and how long it takes."""
    raise SystemExit(0 if run(make_console(), short=short, cold=cold) else 1)


def run(console: Console, *, short: bool, cold: bool) -> bool:
    """Measure, print the table, and return whether the target is reached."""
    rounds, duration_s = (2, 4) if short else (3, 10)
    watched, unwatched = crew("watched", COORDINATORS, TASKS), crew("unwatched", 10, TASKS)
    found: Phases = defaultdict(list)
    with stage(
        (watched, unwatched),
        TABS,
        _channels,
        since_commit=True,
        payload_bytes=mean_bytes(watched),
        settings={"authorization.watched_decision_ttl_s": COLD_S} if cold else {},
    ) as on_stage:
        loads: dict[str, Callable[[], Pacer | None]] = {
            EVENTS: lambda: on_stage.changes([watched]),
            PLAIN: on_stage.plain,
            CHANGES: lambda: on_stage.changes([unwatched]),
            NOTHING: lambda: None,
        }
        for _ in range(rounds):
            for name, load in loads.items():
                phase = measure(
                    on_stage, load, RATE, warm_up_s=WARM_UP_S, duration_s=duration_s, repeats=0 if short else 1
                )
                found[name].append(phase)
    return _report(console, found)


def mean_bytes(team: Crew) -> int:
    """Return the mean size of an event's payload over those of a team who get it."""
    task, by = team.tasks[0], team.editors[0].user
    after = updated(task, TaskChanges(notes=notes(1)), by=by, at=task.created_at)
    event = msgspec.to_builtins(event_of(task, after, event_id=random_id("ev"), by=by))
    seen = (shown(each.view, event["type"], event) for each in team.coordinators)
    return round(statistics.fmean(len(msgspec.json.encode(each)) for each in seen if each is not None))


def _channels(team: Crew, coordinator: Coordinator, _tab: int) -> tuple[str, ...]:
    """Plain messages go to those who get events, so that both audiences are the same."""
    if team.team_id != "watched":
        return (f"/notifications/{coordinator.user.user_id}",)
    return (team.task_list,) if coordinator.view is View.HIDDEN else (team.task_list, "/load/plain")


def _report(console: Console, found: Phases) -> bool:
    table = Table("", "deliveries per CPU second", "us each", "p50 ms", "p95 ms", "p99 ms")
    cost_us = {name: _cost_us(found[name], found[EVENTS]) for name in found}
    fan_out_us = cost_us[EVENTS] - cost_us[CHANGES]
    plain_us = cost_us[PLAIN] - cost_us[NOTHING]
    without_us = plain_us + cost_us[CHANGES]
    latency = {name: percentiles_ms(histogram(row for each in found[name] for row in each.rows)) for name in found}
    for title, each_us, name in (
        ("changes and their events", cost_us[EVENTS], EVENTS),
        ("changes, and as many plain messages", without_us, ""),
        ("events alone", fan_out_us, EVENTS),
        ("plain messages alone", plain_us, PLAIN),
    ):
        figures = latency.get(name, {})
        times = [f"{figures[at]:.1f}" if figures else "" for at in ("p50", "p95", "p99")]
        table.add_row(title, f"{1e6 / each_us:,.0f}", f"{each_us:.1f}", *times)
    ratio = plain_us / fan_out_us
    a_change_us = (cost_us[CHANGES] - cost_us[NOTHING]) * _audience(found)
    table.caption = f"a change costs {a_change_us:,.0f} us beside its events"
    console.print(table)
    console.print(f"with views and checks against without: {without_us / cost_us[EVENTS]:.2f}, changes included")
    console.print(f"fan-out alone: {ratio:.2f} (target {TARGET}: {'reached' if ratio >= TARGET else 'missed'})")
    for flaw in dict.fromkeys(flaw for phases in found.values() for phase in phases for flaw in phase.flaws):
        console.print(f"  flawed: {flaw}", markup=False)
    return ratio >= TARGET


def _cost_us(phases: Sequence[Phase], events: Sequence[Phase]) -> float:
    """Return CPU time of the median phase for each delivery that there is when changes are told."""
    deliveries = statistics.fmean(each.deliveries for each in events)
    return statistics.median(each.cpu_s for each in phases) * 1e6 / deliveries


def _audience(found: Phases) -> float:
    return statistics.fmean(each.deliveries / (RATE * each.wall_s) for each in found[EVENTS])


if __name__ == "__main__":
    main()

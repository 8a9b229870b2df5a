"""``bayeux load``: the commands."""

import importlib.util
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from clients.load.errors import HarnessError
from clients.load.options import COMMON, DELIVERIES, PUBLISHERS, TIMES, options
from clients.load.plan import Plan, Scenario, Transport

_NEEDS = "bayeux load needs more packages: pip install 'bayeux-server[bench]'"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def load() -> None:
    """Load a Bayeux server, ours or another, and count and time every delivery.

    Exit status: 0; 3 if the harness was itself the bottleneck (the figures are not the server's); 4 if messages were
    lost, doubled or out of order; 1 if the run could not be done.

    Example: bayeux load fan-out http://127.0.0.1:8000/bayeux --clients 500 --rate 20000 --pid 1234 --html report.html
    """


@load.command(Scenario.FAN_OUT.value)
@options(COMMON, DELIVERIES, PUBLISHERS)
def fan_out(**given: Any) -> None:
    """Every client is subscribed to one channel, a few publish to it."""
    _run(Scenario.FAN_OUT, given)


@load.command(Scenario.CHAT.value)
@click.option("--channels", type=click.IntRange(1), default=100, show_default=True, help="Channels in all.")
@click.option("--channels-each", type=click.IntRange(1), default=10, show_default=True, help="Channels of each client.")
@options(COMMON, DELIVERIES, PUBLISHERS)
def chat(**given: Any) -> None:
    """Each client is in some of the channels, some of the clients publish to theirs."""
    if given["channels_each"] > given["channels"]:
        raise click.UsageError("--channels-each must not exceed --channels")
    if given["publishers"] > given["clients"]:
        raise click.UsageError("--publishers must not exceed --clients")
    _run(Scenario.CHAT, given)


@load.command(Scenario.POINT_TO_POINT.value)
@options(COMMON, DELIVERIES)
def point_to_point(**given: Any) -> None:
    """Each client has a channel of its own, and its neighbour publishes to it."""
    _run(Scenario.POINT_TO_POINT, given)


@load.command(Scenario.SLOW_READERS.value)
@click.option(
    "--slow", "slow_share", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Share that reads slowly."
)
@click.option(
    "--slow-rate", "slow_bytes_per_s", type=click.IntRange(0), default=2_048, show_default=True, help="Bytes a second."
)
@options(COMMON, DELIVERIES, PUBLISHERS)
def slow_readers(**given: Any) -> None:
    """Fan-out where some read slowly: what it does to the others, and to the server's memory."""
    _run(Scenario.SLOW_READERS, given)


@load.command(Scenario.CARE_DAY.value)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=100, show_default=True, help="Acts a second."
)
@click.option(
    "--tasks", "tasks_per_team", type=click.IntRange(1, 500), default=20, show_default=True, help="Of a team of 10."
)
@options(COMMON, TIMES)
def care_day(**given: Any) -> None:
    """Coordinators of the Care App open tasks, type, save, tell a colleague and close, on the app's channels."""
    _run(Scenario.CARE_DAY, given)


@load.command(Scenario.IDLE.value)
@click.option(
    "--duration", "duration_s", type=click.IntRange(1), default=10, show_default=True, help="Seconds to hold them."
)
@options(COMMON)
def idle(**given: Any) -> None:
    """Open sessions and leave them alone: what each costs the server in memory (with --pid)."""
    _run(Scenario.IDLE, given)


@load.command(Scenario.HANDSHAKE_STORM.value)
@click.option("--rate", type=click.FloatRange(0), default=0, help="Sessions a second (0: as --concurrency allows).")
@options(COMMON)
def handshake_storm(**given: Any) -> None:
    """All clients handshake, connect and subscribe: how many sessions a second, and how long each takes."""
    _run(Scenario.HANDSHAKE_STORM, given)


@load.command(Scenario.RECONNECT_STORM.value)
@options(COMMON)
def reconnect_storm(**given: Any) -> None:
    """All connections are cut at one moment and every client comes back at once."""
    _run(Scenario.RECONNECT_STORM, given)


@load.command()
@click.argument("first", type=click.Path(exists=True, path_type=Path))
@click.argument("second", type=click.Path(exists=True, path_type=Path))
def compare(first: Path, second: Path) -> None:
    """Show two JSON reports side by side, the second as a multiple of the first."""
    from clients.load import compare as comparison
    from clients.load import report as reports

    try:
        one, two = reports.read(first), reports.read(second)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    console = Console()
    table = Table("", str(first), str(second), "ratio")
    for row in comparison.rows(one, two):
        table.add_row(*row)
    console.print(table)
    for name, report in ((first, one), (second, two)):
        if not report.valid:
            console.print(f"{name} is not a valid run: {'; '.join(report.reasons)}", style="bold red", markup=False)
    for difference in comparison.differences(one, two):
        console.print(f"The runs differ in {difference}.", style="yellow", markup=False)


@load.command("self-test")
@click.option(
    "--seconds", type=click.IntRange(1, 60), default=5, show_default=True, help="Measured seconds of each run."
)
def self_test(seconds: int) -> None:
    """Measure the harness itself against a bare echo: what a delivery costs it, and how many it can take."""
    _require_packages()
    from clients.load.self_test import examine

    raise SystemExit(examine(Console(), seconds))


def _run(scenario: Scenario, given: dict[str, Any]) -> None:
    _require_packages()
    from clients.load.console import command_line, show, show_step
    from clients.load.limit import Bounds
    from clients.load.live import LiveDisplay
    from clients.load.runner import find_limit, run

    command = command_line(click.get_current_context())
    pid, json_path, html_path = (given.pop(name) for name in ("pid", "json_path", "html_path"))
    searching, max_p99_ms, max_loss = (given.pop(name, None) for name in ("find_limit", "max_p99_ms", "max_loss_share"))
    given["transport"] = Transport(given["transport"])
    plan = Plan(scenario=scenario, **given)
    console = Console()
    try:
        with LiveDisplay(plan) as display:
            if searching:
                bounds = Bounds(p99_ms=max_p99_ms, loss_share=max_loss)
                report = find_limit(plan, display, bounds, lambda step: show_step(console, step), pid)
            else:
                report = run(plan, display, pid)
    except (HarnessError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    show(console, msgspec.structs.replace(report, command=command), json_path, html_path)


def _require_packages() -> None:
    missing = [name for name in ("hdrh", "matplotlib", "psutil") if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(f"{_NEEDS} (missing: {', '.join(missing)})")

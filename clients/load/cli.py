"""``bayeux load``: the commands."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from clients.load.plan import Plan, Scenario, Transport

F = TypeVar("F", bound=Callable[..., Any])

# A run whose figures are the harness's own, not the server's.
EXIT_INVALID = 3
EXIT_LOSS = 4

_NEEDS = "bayeux load needs more packages: pip install 'bayeux-server[bench]'"

_COMMON = [
    click.argument("url"),
    click.option(
        "--transport", type=click.Choice([str(known) for known in Transport]), default="websocket", show_default=True
    ),
    click.option("--clients", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Sessions."),
    click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Of the harness."),
    click.option("--pid", type=int, help="The server's process on this machine: measure its CPU and memory."),
    click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Sent with every request."),
    click.option("--handshake-ext", default="", metavar="JSON", help="`ext` of every handshake, such as a token."),
    click.option("--prefix", default="/load", show_default=True, help="First segments of every channel."),
    click.option(
        "--concurrency", type=click.IntRange(1), default=50, show_default=True, help="Sessions opening at once."
    ),
    click.option("--seed", type=int, default=1, show_default=True, help="Of everything drawn by lot."),
    click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the report here."),
    click.option("--html", "html_path", type=click.Path(path_type=Path), help="Write the page with plots here."),
]

_TIMES = [
    click.option(
        "--payload", "payload_bytes", type=click.IntRange(41), default=300, show_default=True, help="Bytes of `data`."
    ),
    click.option(
        "--duration", "duration_s", type=click.IntRange(1), default=10, show_default=True, help="Measured seconds."
    ),
    click.option(
        "--warm-up", "warm_up_s", type=click.FloatRange(0), default=2, show_default=True, help="Seconds before."
    ),
    click.option(
        "--drain", "drain_s", type=click.FloatRange(0), default=5, show_default=True, help="Wait for the rest, s."
    ),
]

_DELIVERIES = [
    click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        default=10_000,
        show_default=True,
        help="Deliveries a second that the publishes shall cause.",
    ),
    click.option("--batch", type=click.IntRange(1, 1_000), default=1, show_default=True, help="Publishes a request."),
    *_TIMES,
    click.option("--idle-channels", type=click.IntRange(0), default=0, help="Silent channels of each client besides."),
    click.option("--find-limit", is_flag=True, help="Raise the rate until a bound breaks; report the highest held."),
    click.option(
        "--max-p99", "max_p99_ms", type=float, default=500, show_default=True, help="Bound of --find-limit, ms."
    ),
    click.option(
        "--max-loss", "max_loss_share", type=float, default=0, show_default=True, help="Its other bound, 0 to 1."
    ),
]

_PUBLISHERS = click.option(
    "--publishers", type=click.IntRange(1), default=4, show_default=True, help="Sessions that publish."
)


def _options(*groups: list[Callable[[F], F]]) -> Callable[[F], F]:
    def add(command: F) -> F:
        for group in reversed(groups):
            for option in reversed(group):
                command = option(command)
        return command

    return add


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def load() -> None:
    """Load a Bayeux server, ours or another, and count and time every delivery.

    Exit status: 0; 3 if the harness was itself the bottleneck (the figures are not the server's); 4 if messages were
    lost, doubled or out of order; 1 if the run could not be done.

    Example: bayeux load fan-out http://127.0.0.1:8000/bayeux --clients 500 --rate 20000 --pid 1234 --html report.html
    """


@load.command(Scenario.FAN_OUT.value)
@_options(_COMMON, _DELIVERIES, [_PUBLISHERS])
def fan_out(**options: Any) -> None:
    """Every client is subscribed to one channel, a few publish to it."""
    _run(Scenario.FAN_OUT, options)


@load.command(Scenario.CHAT.value)
@click.option("--channels", type=click.IntRange(1), default=100, show_default=True, help="Channels in all.")
@click.option("--channels-each", type=click.IntRange(1), default=10, show_default=True, help="Channels of each client.")
@_options(_COMMON, _DELIVERIES, [_PUBLISHERS])
def chat(**options: Any) -> None:
    """Each client is in some of the channels, some of the clients publish to theirs."""
    if options["channels_each"] > options["channels"]:
        raise click.UsageError("--channels-each must not exceed --channels")
    if options["publishers"] > options["clients"]:
        raise click.UsageError("--publishers must not exceed --clients")
    _run(Scenario.CHAT, options)


@load.command(Scenario.POINT_TO_POINT.value)
@_options(_COMMON, _DELIVERIES)
def point_to_point(**options: Any) -> None:
    """Each client has a channel of its own, and its neighbour publishes to it."""
    _run(Scenario.POINT_TO_POINT, options)


@load.command(Scenario.SLOW_READERS.value)
@click.option(
    "--slow", "slow_share", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Share that reads slowly."
)
@click.option(
    "--slow-rate", "slow_bytes_per_s", type=click.IntRange(0), default=2_048, show_default=True, help="Bytes a second."
)
@_options(_COMMON, _DELIVERIES, [_PUBLISHERS])
def slow_readers(**options: Any) -> None:
    """Fan-out where some read slowly: what it does to the others, and to the server's memory."""
    _run(Scenario.SLOW_READERS, options)


@load.command(Scenario.CARE_DAY.value)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=100, show_default=True, help="Acts a second."
)
@click.option(
    "--tasks", "tasks_per_team", type=click.IntRange(1, 500), default=20, show_default=True, help="Of a team of 10."
)
@_options(_COMMON, _TIMES)
def care_day(**options: Any) -> None:
    """Coordinators of the Care App open tasks, type, save, tell a colleague and close, on the app's channels."""
    _run(Scenario.CARE_DAY, options)


@load.command(Scenario.IDLE.value)
@click.option(
    "--duration", "duration_s", type=click.IntRange(1), default=10, show_default=True, help="Seconds to hold them."
)
@_options(_COMMON)
def idle(**options: Any) -> None:
    """Open sessions and leave them alone: what each costs the server in memory (with --pid)."""
    _run(Scenario.IDLE, options)


@load.command(Scenario.HANDSHAKE_STORM.value)
@click.option("--rate", type=click.FloatRange(0), default=0, help="Sessions a second (0: as --concurrency allows).")
@_options(_COMMON)
def handshake_storm(**options: Any) -> None:
    """All clients handshake, connect and subscribe: how many sessions a second, and how long each takes."""
    _run(Scenario.HANDSHAKE_STORM, options)


@load.command(Scenario.RECONNECT_STORM.value)
@_options(_COMMON)
def reconnect_storm(**options: Any) -> None:
    """All connections are cut at one moment and every client comes back at once."""
    _run(Scenario.RECONNECT_STORM, options)


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


def _run(scenario: Scenario, options: dict[str, Any]) -> None:
    _require_packages()
    from clients.load.conductor import HarnessError
    from clients.load.live import LiveDisplay
    from clients.load.runner import find_limit, run

    pid, json_path, html_path = (options.pop(name) for name in ("pid", "json_path", "html_path"))
    searching, max_p99_ms, max_loss = (
        options.pop(name, None) for name in ("find_limit", "max_p99_ms", "max_loss_share")
    )
    options["transport"] = Transport(options["transport"])
    plan = Plan(scenario=scenario, **options)
    console = Console()
    try:
        with LiveDisplay(plan, plan.clients) as display:
            if searching:
                from clients.load.limit import Bounds

                bounds = Bounds(p99_ms=max_p99_ms, loss_share=max_loss)
                report = find_limit(plan, display, bounds, lambda step: _show_step(console, step), pid)
            else:
                report = run(plan, display, pid)
    except (HarnessError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    _show(console, report, json_path, html_path)


def _show_step(console: Console, step: Any) -> None:
    verdict = "held" if step.held else f"not held: {step.why}"
    console.print(f"{step.rate:>12,.0f}/s  p50 {step.p50_ms:.1f}  p99 {step.p99_ms:.1f} ms  {verdict}", highlight=False)


def _show(console: Console, report: Any, json_path: Path | None, html_path: Path | None) -> None:
    from clients.load import page
    from clients.load import report as reports
    from clients.load.tables import facts

    table = Table(title=f"{report.plan.scenario} over {report.plan.transport}", show_header=False, title_justify="left")
    for row in facts(report):
        table.add_row(*row)
    console.print(table)
    for note in report.notes:
        console.print(f"Note: {note}.", style="yellow", markup=False, highlight=False)
    if json_path:
        reports.write(report, json_path)
    if html_path:
        page.write(report, html_path)
    if not report.valid:
        for reason in report.reasons:
            console.print(f"This run is not valid: {reason}.", style="bold red", markup=False, highlight=False)
        sys.exit(EXIT_INVALID)
    count = report.count
    if count.lost or count.duplicated or count.out_of_order or count.misdelivered or report.malformed:
        sys.exit(EXIT_LOSS)


def _require_packages() -> None:
    missing = [name for name in ("hdrh", "matplotlib", "psutil") if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(f"{_NEEDS} (missing: {', '.join(missing)})")

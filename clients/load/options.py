"""The options of ``bayeux load``: each checked before anything is started."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from clients.load.plan import Transport

F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[F], F]

_PREFIX = re.compile(r"(/[A-Za-z0-9!$()@_~-]+)+")


def _header(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not value.partition(":")[2].strip() or "\r" in value or "\n" in value:
            raise click.BadParameter("write it as 'Name: value'")
    return values


def _object(_context: click.Context, _option: click.Parameter, value: str) -> str:
    # The value may be a token: it is not shown again.
    try:
        decoded = json.loads(value or "{}")
    except ValueError as error:
        raise click.BadParameter(f"this is no JSON ({error})") from None
    if not isinstance(decoded, dict):
        raise click.BadParameter('expected a JSON object, such as {"token": "..."}')
    return value


def _prefix(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if not _PREFIX.fullmatch(value) or value.startswith(("/meta", "/service")):
        raise click.BadParameter("expected a channel such as /load or /team/load, not below /meta or /service")
    return value


def _writable(_context: click.Context, _option: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and not value.parent.is_dir():
        raise click.BadParameter(f"there is no folder {value.parent}")
    return value


def options(*groups: Sequence[Option[Any]]) -> Callable[[F], F]:
    """Return a decorator that gives a command all options of ``groups``, in their order."""

    def add(command: F) -> F:
        for group in reversed(groups):
            for option in reversed(group):
                command = option(command)
        return command

    return add


def _report_path(flag: str, what: str) -> Option[Any]:
    kind = click.Path(path_type=Path, dir_okay=False, writable=True)
    return click.option(flag, f"{flag.strip('-')}_path", type=kind, callback=_writable, help=f"Write {what} here.")


COMMON = [
    click.argument("url"),
    click.option(
        "--transport", type=click.Choice([str(known) for known in Transport]), default="websocket", show_default=True
    ),
    click.option("--clients", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Sessions."),
    click.option(
        "--processes",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        help="Of the harness, which share the sessions.",
    ),
    click.option("--pid", type=int, help="The server's process on this machine: measure its CPU and memory."),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        callback=_header,
        help="Sent with every request. Repeatable.",
    ),
    click.option(
        "--handshake-ext",
        default="",
        metavar="JSON",
        callback=_object,
        help="`ext` of every handshake, as for a token.",
    ),
    click.option(
        "--prefix", default="/load", show_default=True, callback=_prefix, help="First segments of every channel."
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1),
        default=50,
        show_default=True,
        help="Sessions that open at once, in each process.",
    ),
    click.option("--seed", type=int, default=1, show_default=True, help="Of everything drawn by lot."),
    _report_path("--json", "the report"),
    _report_path("--html", "the page with plots"),
]

TIMES = [
    click.option(
        "--payload", "payload_bytes", type=click.IntRange(41), default=300, show_default=True, help="Bytes of `data`."
    ),
    click.option(
        "--duration", "duration_s", type=click.IntRange(1), default=10, show_default=True, help="Seconds measured."
    ),
    click.option(
        "--warm-up",
        "warm_up_s",
        type=click.FloatRange(0),
        default=2,
        show_default=True,
        help="Seconds of load before that.",
    ),
    click.option(
        "--drain",
        "drain_s",
        type=click.FloatRange(0),
        default=5,
        show_default=True,
        help="Seconds to wait at most for what is still on its way.",
    ),
]

DELIVERIES = [
    click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        default=10_000,
        show_default=True,
        help="Deliveries a second that the publishes shall cause.",
    ),
    click.option(
        "--batch", type=click.IntRange(1, 1_000), default=1, show_default=True, help="Publishes in one request."
    ),
    *TIMES,
    click.option(
        "--idle-channels", type=click.IntRange(0), default=0, help="Silent channels that each client is in besides."
    ),
    click.option(
        "--find-limit",
        is_flag=True,
        help="Raise the rate from --rate until a bound breaks, and report the highest held.",
    ),
    click.option(
        "--max-p99",
        "max_p99_ms",
        type=click.FloatRange(0, min_open=True),
        default=500,
        show_default=True,
        help="Bound of --find-limit: latency on the 99th percentile, ms.",
    ),
    click.option(
        "--max-loss",
        "max_loss_share",
        type=click.FloatRange(0, 1),
        default=0,
        show_default=True,
        help="Bound of --find-limit: share of the deliveries that never came, 0 to 1.",
    ),
]

PUBLISHERS = [
    click.option("--publishers", type=click.IntRange(1), default=4, show_default=True, help="Sessions that publish.")
]

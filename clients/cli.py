"""``bayeux``: publish, watch and measure any Bayeux server from the command line."""

import asyncio
import contextlib
import importlib
import json
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import click
import msgspec
import structlog
from yarl import URL

from clients.python import BayeuxClient, ClientError, ClientState, Event, Gap, TransportError
from clients.reach import reach


def _checked(_context: click.Context, _parameter: click.Parameter, url: str) -> str:
    try:
        endpoint = URL(url)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if endpoint.scheme not in ("http", "https", "ws", "wss") or not endpoint.host:
        raise click.BadParameter("expected http:// or https://, and a host")
    return url


ENDPOINT = click.argument("url", callback=_checked)
TOKEN = click.option("--token", envvar="BAYEUX_TOKEN", help="Bearer token; also taken from BAYEUX_TOKEN.")
TRANSPORT = click.option(
    "--transport",
    type=click.Choice(["auto", "websocket", "long-polling"]),
    default="auto",
    show_default=True,
    help="auto takes a WebSocket, or long polls where there is none.",
)

#: How long somebody who waits at a terminal is kept waiting.
TIMEOUT_S: Final = 10.0

#: Commands that live elsewhere and need packages of their own: loaded when they are called.
ELSEWHERE: Final = {"load": "clients.load.cli:load"}


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = ELSEWHERE[cmd_name].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), name)
        except ImportError as error:
            return _unavailable(cmd_name, error)
        return command


def _unavailable(name: str, error: ImportError) -> click.Command:
    """Return what stands in for a command whose packages are missing: help goes on, a call says what to install."""
    remedy = "pip install 'bayeux-server[bench]'"

    def refuse() -> None:
        raise click.ClickException(f"{error}; {name} needs more packages: {remedy}")

    return click.Command(
        name,
        callback=refuse,
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED, expose_value=False)],
        short_help=f"Not installed: {remedy}",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True},
    )


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Talk to a Bayeux server, ours or another (Faye, CometD).

    URL is the server's Bayeux end point, such as http://127.0.0.1:8000/bayeux.
    """
    # What people watch is standard output; the log would only come between.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


@main.command()
@ENDPOINT
@click.argument("channel")
@click.argument("data", metavar="JSON")
@TOKEN
@TRANSPORT
def publish(url: str, channel: str, data: str, token: str | None, transport: Any) -> None:
    """Publish one value on a channel.

    JSON is the value; - reads one value a line from standard input and publishes each.

    Example: bayeux publish http://127.0.0.1:8000/bayeux /demo/hello '{"text": "Hello"}'
    """
    lines = sys.stdin if data == "-" else [data]
    try:
        values = [msgspec.json.decode(line) for line in lines if line.strip()]
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="JSON") from None

    async def work() -> None:
        async with BayeuxClient(url, token=token, transport=transport, timeout_s=TIMEOUT_S) as client:
            for value in values:
                await client.publish(channel, value)

    _run(work())


@main.command()
@ENDPOINT
@click.argument("channels", nargs=-1, required=True, metavar="CHANNEL...")
@click.option("--replay", type=int, help="Begin in the server's history: an id, or -2 for all that is kept.")
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@TOKEN
@TRANSPORT
def subscribe(
    url: str, channels: tuple[str, ...], replay: int | None, count: int | None, token: str | None, transport: Any
) -> None:
    """Print the events of channels or patterns, one JSON line each; Ctrl-C ends it.

    Comes back by itself when the connection is lost. States, gaps and revocations go to standard error.

    Example: bayeux subscribe http://127.0.0.1:8000/bayeux '/task/**'
    """

    async def work() -> None:
        client = BayeuxClient(url, token=token, transport=transport)
        client.on_state.append(_tell_state)
        client.on_gap.append(_tell_gap)
        client.on_revoked.append(_tell_revoked)
        done = asyncio.Event()
        printed = 0

        def show(event: Event) -> None:
            nonlocal printed
            if printed == count:
                return
            printed += 1
            click.echo(json.dumps(_line(event), ensure_ascii=False))
            if printed == count:
                done.set()

        async def watch() -> None:
            async with client:
                for channel in channels:
                    await _subscribe(client, channel, show, replay)
                await client.wait_closed()  # returns only if the server ends it, with the reason

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, done.set)
        watching, stopping = asyncio.create_task(watch()), asyncio.create_task(done.wait())
        await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    _run(work())


@main.command()
@ENDPOINT
@click.option("--count", type=click.IntRange(1, 1_000), default=5, show_default=True, help="Round trips a transport.")
@click.option("--timeout", "timeout_s", type=float, default=5.0, show_default=True, help="Seconds for each answer.")
@TOKEN
def ping(url: str, count: int, timeout_s: float, token: str | None) -> None:
    """Find out which transports work, and how fast: the time to connect, and of a publish and its event."""

    async def work() -> None:
        await reach(url, timeout_s)
        works = 0
        click.echo(f"{'transport':<24}{'connect':>12}{'round trip':>14}   (median of {count})")
        for name, transport, wire in _WAYS:
            try:
                connect_ms, trip_ms = await _measure(url, transport, wire, token, count, timeout_s)
            except ClientError as error:
                click.secho(f"{name:<24}{'fails':>12}   {error}", fg="red")
            else:
                works += 1
                trip = f"{trip_ms:>11.2f} ms" if trip_ms is not None else "   not allowed"
                click.echo(f"{name:<24}{connect_ms:>9.2f} ms{trip}")
        if not works:
            raise click.ClickException(f"no transport works at {url}")

    _run(work())


_WAYS: Final = (
    ("websocket", "websocket", "json"),
    ("websocket, MessagePack", "websocket", "msgpack"),
    ("long-polling", "long-polling", "json"),
)


async def _subscribe(client: BayeuxClient, channel: str, show: Callable[[Event], None], replay: int | None) -> None:
    """Subscribe, again if the connection was lost meanwhile."""
    while True:
        try:
            await client.subscribe(channel, show, replay_from=replay)
        except TransportError:
            continue  # the client comes back by itself, and raises something else if it may not
        return


async def _measure(
    url: str, transport: Any, wire: Any, token: str | None, count: int, timeout_s: float
) -> tuple[float, float | None]:
    """Return the milliseconds of connecting and of a round trip; None where the probe's channel is not allowed."""
    start_s = time.perf_counter()
    async with BayeuxClient(url, transport=transport, wire=wire, token=token, timeout_s=timeout_s) as client:
        connect_ms = (time.perf_counter() - start_s) * 1_000
        try:
            events = await client.subscribe("/ping")
            trips_ms = []
            for number in range(count):
                start_s = time.perf_counter()
                await client.publish("/ping", {"ping": number})
                async with asyncio.timeout(timeout_s):
                    await anext(events)
                trips_ms.append((time.perf_counter() - start_s) * 1_000)
        except (ClientError, TimeoutError):
            return connect_ms, None
    return connect_ms, sorted(trips_ms)[count // 2]


def _line(event: Event) -> dict[str, Any]:
    line = {"channel": event.channel, "data": event.data}
    return line if event.replay_id is None else line | {"replay_id": event.replay_id}


def _tell_state(state: ClientState) -> None:
    click.secho(f"# {state.value}", err=True, dim=True)


def _tell_gap(gap: Gap) -> None:
    click.secho(f"# {gap.channel}: events may be missing, {gap.reason}", err=True, fg="yellow")


def _tell_revoked(channel: str) -> None:
    click.secho(f"# {channel}: the server does not let you see it any more", err=True, fg="red")


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(work)
    except ClientError as error:
        raise click.ClickException(str(error)) from None

"""``bayeux-server``: run the server, and look at its configuration."""

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from bayeux_server import __version__, compiled, logs
from bayeux_server.demo import demo_is_installed
from bayeux_server.errors import LocalError
from bayeux_server.settings import Settings, SettingsError, is_secret, load

#: Distributions may add commands: an entry point of this group is a ``click.Command``.
COMMAND_GROUP: Final = "bayeux_server.commands"

CONFIG = click.option(
    "--config",
    "-c",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file. Without it: embedded defaults, nobody but this machine.",
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Set one key; over the file and the environment. Repeatable.",
)


class _Group(click.Group):
    """Our own commands, and those that other distributions add."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(point.name for point in entry_points(group=COMMAND_GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for point in entry_points(group=COMMAND_GROUP, name=cmd_name):
            command: click.Command = point.load()
            return command
        return None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A Bayeux publish-subscribe server that pages with the stock Faye and CometD libraries connect to.

    Configuration comes from a file (--config), then from environment variables (BAYEUX_SERVER__PORT=9000 is
    server.port), then from flags, each over the one before.
    """


def read_settings(config: Path | None, overrides: tuple[str, ...]) -> Settings:
    """Return the settings, or end the command with an error that says what to change."""
    try:
        return load(config, overrides=overrides)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@CONFIG
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on, 0 for any free one.  [default: 8000]")
@click.option("--allow-origin", multiple=True, metavar="ORIGIN", help="Origin whose pages may connect. Repeatable.")
@SET
def serve(
    config: Path | None,
    host: str | None,
    port: int | None,
    allow_origin: tuple[str, ...],
    overrides: tuple[str, ...],
) -> None:
    """Run the server until SIGTERM or Ctrl-C; a second one ends it without letting clients go in peace.

    Without --config it serves everybody on this machine, and nobody else: --host 0.0.0.0 is refused until the
    configuration says who may do what.

    \b
    Examples:
      bayeux-server serve
      bayeux-server serve --port 9000 --allow-origin https://app.example.org
      bayeux-server serve --config conf/production.toml --set log.level=warning
      BAYEUX_LOG__LEVEL=debug bayeux-server serve
    """  # noqa: D301 - click's own mark for lines to leave as they are
    flags = [] if host is None else [f"server.host={host}"]
    if port is not None:
        flags.append(f"server.port={port}")
    if allow_origin:
        flags.append(f"server.allowed_origins={msgspec.json.encode(allow_origin).decode()}")
    settings = read_settings(config, (*overrides, *flags))
    logs.configure(settings.log)
    if settings.server.compiled:
        compiled.use()
    from bayeux_server.serving import run  # only now, see compiled.use()

    try:
        run(settings, lambda address: _welcome(settings, address))
    except LocalError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        where = f"{settings.server.host}:{settings.server.port}"
        raise click.ClickException(f"cannot serve on {where}: {error.strerror or error}") from None


def _welcome(settings: Settings, address: str) -> None:
    rows = [("Bayeux", address + settings.server.mount), ("Metrics", address + "/metrics")]
    rows += [("Health", address + "/healthz"), ("Ready", address + "/readyz")]
    if settings.server.demo and demo_is_installed():
        rows.insert(0, ("Demo page", address + "/"))
    click.secho("Bayeux server is up.", bold=True)
    for name, place in rows:
        click.echo(f"  {name:<10} {place}")
    if settings.security.mode == "development":
        click.secho("  Development settings: anybody on this machine may use any channel.", fg="yellow")


@main.group(name="config")
def config_group() -> None:
    """Look at the configuration."""


@config_group.command()
@CONFIG
@SET
def check(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Read the configuration and build the server from it, without starting it."""
    settings = read_settings(config, overrides)
    from bayeux_server.app import BayeuxApp

    try:
        BayeuxApp(settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    click.echo("The configuration is fine.")


@config_group.command()
@CONFIG
@SET
def show(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Print the configuration as it is after file, environment and flags. Secrets are not shown."""
    settings = read_settings(config, overrides)
    document = _without_secrets(msgspec.to_builtins(settings))
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _without_secrets(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(each, name) for name, each in value.items()}
    if value and isinstance(value, (str, list)) and is_secret(key):
        return "(set, not shown)"
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    return value


@main.command("compile")
def compile_() -> None:
    """Make machine code of what a message passes on its way, for `serve` to use; takes a minute.

    Needs a C compiler and mypyc (pip install 'bayeux-server[compile]'). After a change of the source or of Python the
    server runs without, until it is compiled again; --set server.compiled=false leaves it out.
    """
    click.echo(f"Compiling {len(compiled.MODULES)} modules, about a minute ...")
    try:
        click.echo(f"Done: {compiled.build()}")
    except (LocalError, OSError) as error:
        raise click.ClickException(str(error)) from None


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(f"bayeux-server {__version__}, Python {sys.version.split()[0]}")

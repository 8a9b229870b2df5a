"""``bayeux-server features list | set``: look at the switches, and turn them while the server runs."""

import asyncio
from pathlib import Path
from time import time

import click
import msgspec

from bayeux_server.cli import CONFIG, SET, read_settings
from bayeux_server.settings import SettingsError, convert
from channels.features import Feature, Switches
from channels.stores.port import CareStore
from channels.stores.records import Commit, FeatureSwitch
from channels.timestamps import iso_utc_ms
from extensions.care.database import open_store
from extensions.features import FeaturesConfig


@click.group()
def features() -> None:
    """Who gets which feature. A running server follows a change within two seconds."""


@features.command("list")
@CONFIG
@SET
def list_command(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Print each feature with its percentage, its teams and when it was last changed."""
    settings = read_settings(config, overrides)
    section = {name: value for name, value in settings.extensions.get("features", {}).items() if name != "enabled"}
    try:
        default_percentage = convert(section, FeaturesConfig, "extensions.features").default_percentage
    except SettingsError as error:
        raise click.ClickException(str(error)) from None

    async def look() -> Switches:
        async with open_store(settings) as store:
            return Switches(await store.switches(), default_percentage=default_percentage)

    switches = asyncio.run(look())
    for feature in Feature:
        switch = switches.of(feature)
        teams = ", ".join(switch.teams) or "-"
        click.echo(f"{feature:<14} {switch.percentage:>3} %  teams: {teams:<30} {switch.changed_at or 'never changed'}")


@features.command("set")
@click.argument("name", type=click.Choice([feature.value for feature in Feature]))
@click.option("--percent", type=click.IntRange(0, 100), required=True, help="Of the users, chosen by a hash of the id.")
@click.option("--team", "teams", multiple=True, help="A team that gets it whole. Repeatable; without it, none does.")
@CONFIG
@SET
def set_command(
    name: str, percent: int, teams: tuple[str, ...], config: Path | None, overrides: tuple[str, ...]
) -> None:
    """Give feature NAME to a part of the users, and to teams.

    Raising the percentage takes the feature from nobody: the users of 10 % are among those of 20 %.

    \b
    Examples:
      bayeux-server features set presence --percent 10
      bayeux-server features set locks --percent 0 --team team_east
    """  # noqa: D301 - click's own mark for lines to leave as they are
    switch = FeatureSwitch(
        name=name, percentage=percent, teams=tuple(dict.fromkeys(teams)), changed_at=iso_utc_ms(time())
    )

    async def write() -> None:
        async with open_store(read_settings(config, overrides)) as store:
            await _check_teams(store, switch)
            await store.commit(Commit(switches=(switch,)))

    asyncio.run(write())
    click.echo(msgspec.json.encode(switch).decode())


async def _check_teams(store: CareStore, switch: FeatureSwitch) -> None:
    known = [team.id for team in await store.teams()]
    for team in switch.teams:
        if team not in known:
            raise click.BadParameter(f"{team} is no team; there are {', '.join(known) or 'none'}", param_hint="--team")

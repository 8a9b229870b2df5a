"""``bayeux-server db`` and ``bayeux-server demo``."""

import asyncio
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from bayeux_server.cli import CONFIG, SET, read_settings
from bayeux_server.settings import Settings
from channels import demo_data
from channels.stores.migrations import upgrade
from channels.stores.port import CareStore, StoreError
from extensions.care.database import make_folder, open_store, store_url


@click.group()
def db() -> None:
    """Look after the care layer's database."""


@db.command("upgrade")
@CONFIG
@SET
def upgrade_command(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Bring the database up to date. What is up to date already stays as it is."""
    migrate(read_settings(config, overrides))
    click.echo("The database is up to date.")


@click.command()
@CONFIG
@SET
@click.option("--play", is_flag=True, help="Play a day's story on a server of its own, with data that is thrown away.")
@click.option("--pace", type=click.FloatRange(0, 10), default=0.6, show_default=True, help="Seconds between its lines.")
def demo(config: Path | None, overrides: tuple[str, ...], play: bool, pace: float) -> None:
    """Fill the database with a demo: 3 teams, 12 coordinators, 40 members, 300 tasks.

    It is the same each time, and a second time changes nothing. No real person is meant.

    \b
    Examples:
      bayeux-server demo
      bayeux-server demo --set extensions.care.store_url=sqlite:////tmp/demo.sqlite3
      bayeux-server demo --play
    """  # noqa: D301 - click's own mark for lines to leave as they are
    if play:
        if config is not None or overrides:
            raise click.UsageError("--play has settings of its own: it takes no --config and no --set.")
        from extensions.care.play import play as play_story

        play_story(pace)
        return
    settings = read_settings(config, overrides)
    migrate(settings)
    if asyncio.run(_seed(settings)):
        click.echo(
            f"{len(demo_data.TEAMS)} teams, {demo_data.COORDINATORS} coordinators, "
            f"{demo_data.MEMBERS} members and {demo_data.TASKS} tasks are there."
        )
    else:
        click.echo("The demo is there already: nothing was changed.")


def migrate(settings: Settings) -> None:
    """Bring the database of the settings up to date, making it if need be.

    Raises:
        click.ClickException: If it cannot be reached.
    """
    url = store_url(settings)
    try:
        make_folder(url)
        upgrade(url)
    except (SQLAlchemyError, OSError) as error:
        # Their texts may quote the address, with its password.
        raise click.ClickException(f"extensions.care.store_url: {type(error).__name__}") from None


async def _seed(settings: Settings) -> bool:
    """Write what is missing of the demo; return False if all of it is there."""
    async with open_store(settings) as store:
        if await _is_complete(store):
            return False
        commits = list(demo_data.demo_commits())
        with click.progressbar(commits, label="Filling the database") as progress:
            for commit in progress:
                try:
                    await store.commit(commit)
                except StoreError:
                    # There already, from a run that was stopped, or changed by somebody since.
                    continue
        return True


async def _is_complete(store: CareStore) -> bool:
    return await store.task(demo_data.LAST_TASK_ID) is not None

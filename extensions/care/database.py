"""The care layer's database, for commands: the one that the server's settings name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from sqlite3 import OperationalError

import click

from bayeux_server.errors import LocalError
from bayeux_server.settings import Settings, SettingsError, convert
from channels.stores.opening import store_at
from channels.stores.port import CareStore
from extensions.care import CareConfig

_SQLITE = "sqlite:///"


def store_url(settings: Settings) -> str:
    """Return ``[extensions.care] store_url``.

    Raises:
        click.ClickException: If the section cannot be used.
    """
    section = {name: value for name, value in settings.extensions.get("care", {}).items() if name != "enabled"}
    try:
        return convert(section, CareConfig, "extensions.care").store_url
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def make_folder(url: str) -> None:
    """Make the folder of a SQLite file; there is nothing to make for another store."""
    if url.startswith(_SQLITE):
        Path(url.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[CareStore]:
    """Open the store for as long as the context is.

    Raises:
        click.ClickException: If it cannot be opened, is not migrated, or cannot be reached later on.
    """
    try:
        store = store_at(store_url(settings))
        await store.start()
    except (LocalError, OSError, OperationalError) as error:
        raise click.ClickException(_explain(error)) from None
    try:
        yield store
    except (OSError, OperationalError) as error:
        raise click.ClickException(_explain(error)) from None
    finally:
        await store.stop()


def _explain(error: Exception) -> str:
    # What drivers say may quote an address with its password; the kind of error has to do for those.
    reason = str(error) if isinstance(error, LocalError | OperationalError) else type(error).__name__
    return (
        f"the database of extensions.care.store_url: {reason} (is it there, and migrated? `bayeux-server db upgrade`)"
    )

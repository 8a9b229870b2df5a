"""From a URL to a store."""

from pathlib import Path

from bayeux_server.errors import LocalError
from channels.stores.port import CareStore
from channels.stores.postgres import PostgresStore
from channels.stores.sqlite import SqliteStore

_SQLITE = "sqlite:///"


def store_at(url: str) -> CareStore:
    """Return the store of a URL, not yet started and not migrated: :func:`channels.stores.migrations.upgrade`.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path`` or ``postgresql://user:password@host/database``.

    Raises:
        LocalError: If it is neither. The URL is not repeated: it may hold a password.
    """
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return SqliteStore(Path(url.removeprefix(_SQLITE)))
    if url.startswith("postgresql://"):
        return PostgresStore(url)
    raise LocalError("a store's URL begins with sqlite:/// or postgresql://")

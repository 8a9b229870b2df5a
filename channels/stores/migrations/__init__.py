"""Migrations of the stores' schema: plain SQL for both dialects, run by Alembic."""

from pathlib import Path
from threading import Lock
from typing import Final

from alembic import command
from alembic.config import Config

_FOLDER: Final = Path(__file__).parent
#: Alembic keeps what a migration runs on in a module of its own: one run per process.
_one_at_a_time: Final = Lock()


def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database to ``revision``; what is done already is not done again. Blocks: not for the event loop.

    Args:
        url: ``sqlite:///path`` or ``postgresql://...``, as the stores take it.
        revision: Which migration to go to.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: If the database cannot be reached or a migration fails; a migration that
            fails leaves nothing behind.
    """
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["url"] = url
    with _one_at_a_time:
        command.upgrade(config, revision)

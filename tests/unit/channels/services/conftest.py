"""A care service on an SQLite file of its own."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.stores.migrations import upgrade
from channels.stores.sqlite import SqliteStore
from tests.support.care_service import Care


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without rows, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "care.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
async def care(empty_database: Path, tmp_path: Path) -> AsyncIterator[Care]:
    """A service with its people, and no tasks."""
    path = tmp_path / "care.db"
    await asyncio.to_thread(shutil.copy, empty_database, path)
    store = SqliteStore(path)
    await store.start()
    care = Care(store)
    await care.prepare()
    yield care
    await store.stop()

"""Stores by URL, and migrations."""

import sqlite3
from pathlib import Path

import pytest

from bayeux_server.errors import LocalError
from channels.stores.migrations import upgrade
from channels.stores.opening import store_at
from channels.stores.postgres import PostgresStore
from channels.stores.sqlite import SqliteStore


class TestStoreAt:
    def test_finds_the_adapter(self) -> None:
        assert isinstance(store_at("sqlite:///care.db"), SqliteStore)
        assert isinstance(store_at("postgresql://localhost/care"), PostgresStore)

    @pytest.mark.parametrize("url", ["", "sqlite:///", "mysql://user:secret@host/care"])
    def test_refuses_anything_else_without_repeating_it(self, url: str) -> None:
        with pytest.raises(LocalError) as caught:
            store_at(url)
        assert "secret" not in str(caught.value)


class TestUpgrade:
    def test_done_twice_is_done_once(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'care.db'}"
        upgrade(url)
        upgrade(url)
        connection = sqlite3.connect(tmp_path / "care.db")
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0002",)]
        connection.close()

    async def test_a_store_that_was_never_migrated_says_so_as_oserror(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "care.db")
        await store.start()
        with pytest.raises(OSError, match="SQLITE_ERROR"):
            await store.task("task_1")
        await store.stop()

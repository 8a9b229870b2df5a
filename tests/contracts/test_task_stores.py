"""Both stores under their contract."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.stores.migrations import upgrade
from channels.stores.port import CareStore
from channels.stores.postgres import PostgresStore
from channels.stores.sqlite import SqliteStore
from tests.contracts.subject_store import SubjectStoreContract
from tests.contracts.task_store import TaskListContract, TaskStoreContract


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[CareStore]:
    path = tmp_path / "care.db"
    await asyncio.to_thread(upgrade, f"sqlite:///{path}")
    store = SqliteStore(path)
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
async def postgres(postgres_dsn: str) -> AsyncIterator[CareStore]:
    await asyncio.to_thread(upgrade, postgres_dsn)
    store = PostgresStore(postgres_dsn)
    await store.start()
    yield store
    await store.stop()


class OnSqlite:
    @pytest.fixture
    def store(self, sqlite: CareStore) -> CareStore:
        return sqlite


class OnPostgres:
    @pytest.fixture
    def store(self, postgres: CareStore) -> CareStore:
        return postgres


class TestSqliteTaskStore(OnSqlite, TaskStoreContract):
    pass


class TestSqliteTaskList(OnSqlite, TaskListContract):
    pass


class TestSqliteSubjectStore(OnSqlite, SubjectStoreContract):
    pass


class TestPostgresTaskStore(OnPostgres, TaskStoreContract):
    pass


class TestPostgresTaskList(OnPostgres, TaskListContract):
    pass


class TestPostgresSubjectStore(OnPostgres, SubjectStoreContract):
    pass

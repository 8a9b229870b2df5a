"""Run by Alembic: opens the database and runs the migrations in one transaction."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, event, pool
from sqlalchemy.ext.asyncio import create_async_engine


def _run(connection: Connection) -> None:
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


def _run_sqlite(url: str) -> None:
    engine = create_engine(url, poolclass=pool.NullPool)

    # The driver's own transactions leave out CREATE TABLE: begin them here, so that a failed migration leaves nothing.
    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        _run(connection)
    engine.dispose()


async def _run_postgresql(url: str) -> None:
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=pool.NullPool)
    async with engine.begin() as connection:
        # Nodes that start together migrate one after the other. Any fixed number does.
        await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7227384)")
        await connection.run_sync(_run)
    await engine.dispose()


_url: str = context.config.attributes["url"]
if _url.startswith("sqlite:"):
    _run_sqlite(_url)
else:
    asyncio.run(_run_postgresql(_url))

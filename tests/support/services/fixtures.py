"""The real services as pytest fixtures: each starts once a session, when the first test asks for it.

A test that stops, kills or restarts a service makes one of its own (``with Redis(append_only=True) as redis:``).
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.services import node
from tests.support.services.chromium import Chromium
from tests.support.services.nginx import Nginx
from tests.support.services.postgres import Postgres
from tests.support.services.redis import Redis
from tests.support.services.spicedb import SpiceDB

# The libraries behind these take a second to import, which a run of unit tests alone should not wait for.
if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

    from tests.support.services.kafka import Kafka


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """One Redis for the session, without persistence."""
    with Redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """URL of an empty Redis database."""
    redis_server.clear()
    return redis_server.url


@pytest.fixture(scope="session")
def kafka_server() -> "Iterator[Kafka]":
    """One Kafka broker for the session."""
    from tests.support.services.kafka import Kafka

    with Kafka() as broker:
        yield broker


@pytest.fixture
def kafka_broker(kafka_server: "Kafka") -> "Kafka":
    """A Kafka broker without topics. Groups outlast a test: name them apart."""
    kafka_server.clear()
    return kafka_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One PostgreSQL for the session."""
    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_dsn(postgres_server: Postgres) -> Iterator[str]:
    """DSN of an empty PostgreSQL database, removed after the test."""
    dsn = postgres_server.create_database()
    yield dsn
    postgres_server.drop_database(dsn)


@pytest.fixture(scope="session")
def spicedb_server() -> Iterator[SpiceDB]:
    """One SpiceDB for the session."""
    with SpiceDB() as server:
        yield server


@pytest.fixture
def spicedb_token(spicedb_server: SpiceDB) -> str:
    """Bearer token of an empty SpiceDB store."""
    return spicedb_server.new_token()


@pytest.fixture
def nginx() -> Iterator[Callable[[str], Nginx]]:
    """Start an nginx with the given ``http`` block content, in which ``{port}`` is where it listens."""
    with ExitStack() as stack:
        yield lambda site: stack.enter_context(Nginx(site))


@pytest.fixture(scope="session")
def node_js() -> str:
    """Path of ``node``, with the npm packages of ``tests/package.json`` installed."""
    return node.install()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One Chromium for the session."""
    with Chromium() as browser:
        yield browser


@pytest.fixture
async def browser(chromium: Chromium) -> "AsyncIterator[Browser]":
    """Playwright's handle on the session's Chromium."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        connected = await playwright.chromium.connect_over_cdp(chromium.endpoint)
        yield connected
        await connected.close()


@pytest.fixture
async def browser_context(browser: "Browser") -> "AsyncIterator[BrowserContext]":
    """A browser context of the test's own: no cookies, no storage, no cache."""
    context = await browser.new_context()
    yield context
    await context.close()


@pytest.fixture
async def page(browser_context: "BrowserContext") -> "Page":
    """An empty page in the test's own context."""
    return await browser_context.new_page()

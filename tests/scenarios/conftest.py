from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.conformance.world import Target, World
from tests.support.careflow import kafka_config
from tests.support.manual_clock import ManualClock
from tests.support.server import ALLOWED_ORIGIN, LocalServer, local_server

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka
    from tests.support.services.spicedb import SpiceDB

Scene = Callable[..., AbstractAsyncContextManager[tuple[LocalServer, World]]]
#: The value of a metric of a server.
Metric = Callable[..., float]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def scene(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> Scene:
    """Run a server with settings, on a manual clock, and a world of clients for one transport."""

    @asynccontextmanager
    async def run(transport: str = "-", **sections: Any) -> AsyncIterator[tuple[LocalServer, World]]:
        with capture_logs() as entries:
            async with (
                local_server(sections, clock=clock) as server,
                World(Target(server.url, ALLOWED_ORIGIN), transport) as world,
            ):
                yield server, world
        assert [entry for entry in entries if entry["log_level"] in ("error", "critical")] == []
        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []

    return run


@pytest.fixture
def metric() -> Metric:
    """Return the value of a metric of a server, as it would be scraped."""

    def read(server: LocalServer, name: str, **labels: str) -> float:
        server.app.metrics.collect()
        value = server.app.registry.get_sample_value(name, labels or None)
        assert value is not None, f"there is no {name} {labels}"
        return value

    return read


@pytest.fixture
def services(
    redis_url: str,
    postgres_dsn: str,
    kafka_broker: "Kafka",
    spicedb_server: "SpiceDB",
    spicedb_token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """The sections that put the care layer on the services of production: see :func:`care_sections`."""
    monkeypatch.setenv("SPICEDB_KEY", spicedb_token)
    careflow = kafka_config(kafka_broker.bootstrap_servers, f"t{token_hex(6)}", session_timeout_ms=1_000)
    return {
        "backend": {"broker": "redis", "history": "redis", "redis_url": redis_url},
        "presence": {"store": "redis", "redis_url": redis_url},
        "care": {"store_url": postgres_dsn},
        "careflow": msgspec.to_builtins(careflow),
        "authorization": {
            "checker": "spicedb",
            "spicedb_target": spicedb_server.target,
            "spicedb_token_env": "SPICEDB_KEY",
            "spicedb_plaintext": True,
            "spicedb_timeout_s": 10.0,
            "spicedb_write_schema": True,
            "spicedb_mirror": True,
        },
    }

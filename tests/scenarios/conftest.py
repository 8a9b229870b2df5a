from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.conformance.world import Target, World
from tests.support.manual_clock import ManualClock
from tests.support.server import ALLOWED_ORIGIN, LocalServer, local_server

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

from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web

from tests.support.server import ServerProcess
from tests.support.services.service import free_port

PAGES_PORT = free_port()
#: Another site than the server's, which is at 127.0.0.1.
OTHER_ORIGIN = f"http://localhost:{PAGES_PORT}"
OVERRIDES = (f'server.allowed_origins=["{OTHER_ORIGIN}"]', "extensions.acknowledge.enabled=true")


@pytest.fixture(scope="session")
def shared_server() -> Iterator[ServerProcess]:
    """One server for all tests that leave it as it is."""
    with ServerProcess(*OVERRIDES) as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[ServerProcess]:
    """A server that the test may restart; without the care layer, which takes longer to start than all the rest."""
    with ServerProcess(*OVERRIDES, "extensions={acknowledge={}}") as server:
        yield server


@pytest.fixture
async def other_origin() -> AsyncIterator[str]:
    """An origin that serves pages, and is on the servers' allow-lists."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="")

    app = web.Application()
    app.router.add_get("/healthz", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "localhost", PAGES_PORT).start()
    yield OTHER_ORIGIN
    await runner.cleanup()

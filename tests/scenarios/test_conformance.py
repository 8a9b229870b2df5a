"""The conformance scenarios against our own server, over every transport each is for."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from tests.conformance.scenarios import SCENARIOS
from tests.conformance.world import Scenario, Target
from tests.support.server import ALLOWED_ORIGIN, local_server

CASES = [
    pytest.param(scenario, transport, id=f"{scenario.area}: {scenario.name} [{transport}]")
    for scenario in SCENARIOS
    for transport in scenario.transports
]


@pytest.fixture(params=[True, False], ids=["short road", "aiohttp's road"])
async def target(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Target]:
    with capture_logs() as entries:
        async with local_server({"server": {"short_road": request.param}}) as server:
            yield Target(server.url, ALLOWED_ORIGIN)
    assert [entry for entry in entries if entry["log_level"] in ("error", "critical")] == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


class TestConformance:
    @pytest.mark.parametrize(("scenario", "transport"), CASES)
    async def test_server_does_what_is_right(self, scenario: Scenario, transport: str, target: Target) -> None:
        await scenario.run(target, transport)

"""Every scenario of the load harness, over every transport, runs against a real server of ours and loses nothing."""

import asyncio

import pytest

from clients.load.plan import Plan, Scenario, Transport
from clients.load.runner import run
from tests.interop.test_load_harness import silent
from tests.support.server import ServerProcess

STORMS = (Scenario.HANDSHAKE_STORM, Scenario.RECONNECT_STORM)
PUBLISHING = tuple(scenario for scenario in Scenario if scenario not in (*STORMS, Scenario.IDLE))
on_every_transport = pytest.mark.parametrize("transport", list(Transport))


def plan(server: ServerProcess, scenario: Scenario, transport: Transport) -> Plan:
    return Plan(
        server.url,
        scenario,
        transport,
        clients=20,
        channels=10,
        channels_each=3,
        rate=100,
        slow_share=0.2 if scenario is Scenario.SLOW_READERS else 0.0,
        processes=2,
        warm_up_s=0,
        duration_s=0.5,
        drain_s=20,
    )


@on_every_transport
class TestScenarios:
    @pytest.mark.parametrize("scenario", PUBLISHING)
    async def test_what_is_published_arrives_once_and_in_order(
        self, shared_server: ServerProcess, scenario: Scenario, transport: Transport
    ) -> None:
        report = await asyncio.to_thread(run, plan(shared_server, scenario, transport), silent)

        assert report.sent == report.accepted > 0
        assert report.count.received == report.count.expected > 0
        assert not report.is_flawed

    @pytest.mark.parametrize("scenario", [*STORMS, Scenario.IDLE])
    async def test_every_session_becomes_ready(
        self, shared_server: ServerProcess, scenario: Scenario, transport: Transport
    ) -> None:
        report = await asyncio.to_thread(run, plan(shared_server, scenario, transport), silent)

        assert report.sessions.ready == 20
        assert not report.sessions.failed
        assert report.sessions.resumed == (20 if scenario is Scenario.RECONNECT_STORM else 0)

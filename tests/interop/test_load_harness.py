"""The load harness counts what a server does wrong on purpose, and says when it was itself the bottleneck."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from clients.load.errors import HarnessError
from clients.load.ledger import Count
from clients.load.machine import Snapshot
from clients.load.orders import Progress
from clients.load.plan import Plan, Scenario, Transport
from clients.load.report import Report
from clients.load.runner import run
from tests.support.faulty_bayeux import EveryKind, Faults, altering, deaf, none, polling_server, websocket_server

SUBSCRIBERS = 5
PLAN = Plan(
    "", Scenario.FAN_OUT, clients=SUBSCRIBERS, publishers=1, rate=200, duration_s=0.4, warm_up_s=0.1, drain_s=0.2
)

SERVERS: dict[Transport, Callable[[Faults], AbstractAsyncContextManager[str]]] = {
    Transport.WEBSOCKET: websocket_server,
    Transport.LONG_POLLING: polling_server,
}
on_every_transport = pytest.mark.parametrize("transport", list(Transport))


async def loaded(faults: Faults, transport: Transport = Transport.WEBSOCKET, **changes: Any) -> Report:
    async with SERVERS[transport](faults) as url:
        plan = replace(PLAN, url=url, transport=transport, **changes)
        return await asyncio.to_thread(run, plan, silent)


def silent(_phase: str, _progress: Sequence[Progress], _snapshot: Snapshot) -> None:
    return


@on_every_transport
class TestCounting:
    async def test_a_server_without_fault_loses_doubles_and_swaps_nothing(self, transport: Transport) -> None:
        report = await loaded(none, transport)

        assert report.sent > 0
        assert report.count == Count(expected=report.sent * SUBSCRIBERS, received=report.sent * SUBSCRIBERS)
        assert report.accepted == report.sent
        assert not report.is_flawed

    async def test_what_a_server_loses_doubles_and_swaps_is_counted_exactly(self, transport: Transport) -> None:
        report = await loaded(EveryKind(), transport)

        assert report.sent >= 10
        assert report.count == EveryKind.count(report.sent, SUBSCRIBERS)
        assert report.is_flawed

    async def test_a_server_that_delivers_nothing_loses_everything(self, transport: Transport) -> None:
        report = await loaded(deaf, transport)

        assert report.count == Count(expected=report.sent * SUBSCRIBERS, lost=report.sent * SUBSCRIBERS)

    async def test_a_server_that_changes_what_it_delivers_is_found_out(self, transport: Transport) -> None:
        assert (await loaded(altering, transport)).malformed > 0

    async def test_several_processes_count_as_one(self, transport: Transport) -> None:
        report = await loaded(none, transport, processes=2, publishers=2)

        assert report.count == Count(expected=report.sent * SUBSCRIBERS, received=report.sent * SUBSCRIBERS)

    async def test_batches_and_several_channels_count_alike(self, transport: Transport) -> None:
        chat = {"channels": 6, "channels_each": 2, "publishers": 3, "batch": 4, "payload_bytes": 50}
        report = await loaded(none, transport, scenario=Scenario.CHAT, **chat)

        assert report.count.expected > 0
        assert report.count == Count(expected=report.count.expected, received=report.count.expected)


class TestVerdict:
    async def test_nothing_is_lost_to_a_session_that_never_came_but_the_run_is_another(self) -> None:
        async with websocket_server(none, refused=2) as url:
            report = await asyncio.to_thread(run, replace(PLAN, url=url), silent)

        assert report.count == Count(expected=report.sent * (SUBSCRIBERS - 2), received=report.sent * (SUBSCRIBERS - 2))
        assert report.reasons == [f"only {SUBSCRIBERS - 1} of {SUBSCRIBERS + 1} sessions became ready"]

    async def test_a_rate_beyond_the_harness_is_refused_as_invalid(self) -> None:
        report = await loaded(none, scenario=Scenario.POINT_TO_POINT, rate=1_000_000, drain_s=0)

        assert not report.valid
        assert report.reasons

    @on_every_transport
    async def test_a_url_where_nobody_listens_ends_with_a_reason_and_a_remedy(self, transport: Transport) -> None:
        async with SERVERS[transport](none) as url:
            pass

        with pytest.raises(HarnessError, match="ECONNREFUSED; start the server"):
            await asyncio.to_thread(run, replace(PLAN, url=url, transport=transport), silent)

    async def test_a_path_without_bayeux_ends_with_a_reason_and_a_remedy(self) -> None:
        async with polling_server(none) as url:
            plan = replace(PLAN, url=f"{url}/elsewhere", transport=Transport.LONG_POLLING)
            with pytest.raises(HarnessError, match="HTTP 404; correct the path"):
                await asyncio.to_thread(run, plan, silent)

    async def test_a_process_that_is_none_ends_with_a_reason(self) -> None:
        async with websocket_server(none) as url:
            with pytest.raises(HarnessError, match="there is no process"):
                await asyncio.to_thread(run, replace(PLAN, url=url), silent, 2**22 + 1)

    async def test_secrets_do_not_get_into_the_report(self) -> None:
        report = await loaded(none, headers=("Authorization: Bearer s3cret",), handshake_ext='{"token": "s3cret"}')

        assert report.plan.headers == ("Authorization: ...",)
        assert "s3cret" not in repr(report)

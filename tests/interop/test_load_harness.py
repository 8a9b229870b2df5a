"""The load harness counts what a server does wrong on purpose, and says when it was itself the bottleneck."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from clients.load.echo import Audience, EchoProtocol
from clients.load.errors import HarnessError
from clients.load.ledger import Count
from clients.load.machine import Snapshot
from clients.load.mark import MARK_DIGITS, SIGN, parse_mark
from clients.load.orders import Progress
from clients.load.plan import Plan, Scenario
from clients.load.report import Report
from clients.load.runner import run

SUBSCRIBERS = 5
PLAN = Plan("", Scenario.FAN_OUT, clients=SUBSCRIBERS, publishers=1, rate=200, duration_s=1, warm_up_s=0.2, drain_s=0.3)


class FaultyProtocol(EchoProtocol):
    """Of every ten messages it loses number 3, doubles number 5, and sends number 7 after number 8."""

    kept = b""

    def deliver(self, frame: bytes, audience: Sequence[Callable[[bytes], None]]) -> None:
        at = frame.index(SIGN) + len(SIGN)
        number = parse_mark(frame[at : at + MARK_DIGITS])[1] % 10
        if number == 3:
            return
        if number == 7:
            self.kept = frame
            return
        super().deliver(frame * 2 if number == 5 else frame, audience)
        if number == 8:
            super().deliver(self.kept, audience)


class DeafProtocol(EchoProtocol):
    """It accepts publishes and delivers none."""

    def deliver(self, frame: bytes, audience: Sequence[Callable[[bytes], None]]) -> None:
        return


class AlteringProtocol(EchoProtocol):
    """It changes what it delivers."""

    def deliver(self, frame: bytes, audience: Sequence[Callable[[bytes], None]]) -> None:
        super().deliver(frame.replace(b"quick", b"QUICK"), audience)


@asynccontextmanager
async def serving(kind: type[EchoProtocol]) -> AsyncIterator[str]:
    audience: Audience = defaultdict(list)
    server = await asyncio.get_running_loop().create_server(lambda: kind(audience), "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/bayeux"


async def loaded(kind: type[EchoProtocol], **changes: Any) -> Report:
    async with serving(kind) as url:
        return await asyncio.to_thread(run, replace(PLAN, url=url, **changes), silent)


def silent(_phase: str, _progress: Sequence[Progress], _snapshot: Snapshot) -> None:
    return


def numbers_like(number: int, sent: int) -> int:
    return len(range(number, sent, 10)) * SUBSCRIBERS


class TestCounting:
    async def test_a_server_without_fault_loses_doubles_and_swaps_nothing(self) -> None:
        report = await loaded(EchoProtocol)

        assert report.sent > 0
        assert report.count == Count(expected=report.sent * SUBSCRIBERS, received=report.sent * SUBSCRIBERS)
        assert report.accepted == report.sent

    async def test_what_a_server_loses_doubles_and_swaps_is_counted_exactly(self) -> None:
        report = await loaded(FaultyProtocol)

        # Number 7 is out of order where number 8 was sent, too, and lost where it was the last.
        swapped = numbers_like(8, report.sent)
        lost = numbers_like(3, report.sent) + numbers_like(7, report.sent) - swapped
        assert report.sent >= 10
        assert report.count == Count(
            expected=report.sent * SUBSCRIBERS,
            received=report.sent * SUBSCRIBERS - lost,
            lost=lost,
            duplicated=numbers_like(5, report.sent),
            out_of_order=swapped,
        )

    async def test_a_server_that_delivers_nothing_loses_everything(self) -> None:
        report = await loaded(DeafProtocol)

        assert report.count == Count(expected=report.sent * SUBSCRIBERS, lost=report.sent * SUBSCRIBERS)

    async def test_a_server_that_changes_what_it_delivers_is_found_out(self) -> None:
        assert (await loaded(AlteringProtocol)).malformed > 0

    async def test_several_processes_count_as_one(self) -> None:
        report = await loaded(EchoProtocol, processes=2, publishers=2)

        assert report.count == Count(expected=report.sent * SUBSCRIBERS, received=report.sent * SUBSCRIBERS)

    async def test_batches_and_several_channels_count_alike(self) -> None:
        report = await loaded(
            EchoProtocol, scenario=Scenario.CHAT, channels=6, channels_each=2, publishers=3, batch=4, payload_bytes=50
        )

        assert report.count.expected > 0
        assert report.count.received == report.count.expected
        assert (report.count.duplicated, report.count.out_of_order, report.count.misdelivered) == (0, 0, 0)


class TestVerdict:
    async def test_a_rate_beyond_the_harness_is_refused_as_invalid(self) -> None:
        report = await loaded(EchoProtocol, scenario=Scenario.POINT_TO_POINT, rate=1_000_000, drain_s=0)

        assert not report.valid
        assert report.reasons

    async def test_a_url_where_nobody_listens_ends_with_a_reason(self) -> None:
        async with serving(EchoProtocol) as url:
            pass

        with pytest.raises(HarnessError, match="ECONNREFUSED"):
            await asyncio.to_thread(run, replace(PLAN, url=url), silent)

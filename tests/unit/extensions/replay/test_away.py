"""A history that is away when somebody asks for the past."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from bayeux_server.backends.memory.history import MemoryHistory
from bayeux_server.ports import Page
from bayeux_server.protocol.channel_id import ChannelId
from extensions.replay.asking import MAX_TRIES, RETRY_S
from tests.support.bench import Bench, Message, open_bench

ALL_KEPT = -2


class Away(MemoryHistory):
    """Refuses to be read while ``is_away``, and says so where ``notices``."""

    is_away = notices = False
    reads = 0

    async def after(self, channel: ChannelId, last_id: int, limit: int) -> Page:
        self._read()
        return await super().after(channel, last_id, limit)

    async def channels(self, pattern: ChannelId, limit: int) -> Sequence[str]:
        self._read()
        return await super().channels(pattern, limit)

    def unready(self) -> str | None:
        return "away" if self.is_away and self.notices else None

    def _read(self) -> None:
        self.reads += 1
        if self.is_away:
            raise ConnectionError("away")


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr("bayeux_server.app.MemoryHistory", Away)
    async with open_bench({"extensions": {"replay": {}}}) as bench:
        yield bench


@pytest.fixture
def history(bench: Bench) -> Away:
    assert isinstance(bench.app.history, Away)
    return bench.app.history


async def wait(bench: Bench, tries: int = 1) -> None:
    for _ in range(tries):
        bench.clock.advance(RETRY_S)
        await bench.settle()


def data(events: list[Message]) -> list[Any]:
    return [event["data"] for event in events]


def gaps(events: list[Message]) -> list[bool]:
    return ["gap" in event["ext"]["replay"] for event in events]


class TestAway:
    @pytest.mark.parametrize("subscription", ["/a", "/*"])
    @pytest.mark.parametrize("notices", [True, False])
    async def test_the_past_is_told_when_it_is_back_before_what_happened_meanwhile(
        self, bench: Bench, history: Away, subscription: str, notices: bool
    ) -> None:
        await bench.server.publish("/a", 1)
        history.is_away, history.notices = True, notices
        client = await bench.client()
        await client.subscribe(subscription, ext={"replay": {subscription: ALL_KEPT}})
        await wait(bench, MAX_TRIES - 3)
        await bench.server.publish("/a", 2)
        assert await client.events() == []
        history.is_away = False
        await wait(bench)
        events = await client.events()
        assert (data(events), gaps(events)) == ([1, 2], [False, False])
        await bench.server.publish("/a", 3)
        assert data(await client.events()) == [3]

    async def test_one_that_says_that_it_is_away_is_waited_for_and_not_asked(self, bench: Bench, history: Away) -> None:
        await bench.server.publish("/a", 1)
        history.is_away = history.notices = True
        client = await bench.client()
        await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
        await wait(bench, MAX_TRIES + 2)
        assert history.reads == 1
        history.is_away = False
        await wait(bench)
        assert data(await client.events()) == [1]

    async def test_a_live_event_shows_that_it_is_back(self, bench: Bench, history: Away) -> None:
        await bench.server.publish("/a", 1)
        history.is_away = history.notices = True
        client = await bench.client()
        await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
        await wait(bench)
        history.is_away = False
        await bench.server.publish("/a", 2)
        await bench.settle()
        assert data(await client.events()) == [1, 2]

    async def test_one_that_cannot_be_read_though_it_says_it_can_is_given_up_and_the_gap_is_announced(
        self, bench: Bench, history: Away
    ) -> None:
        await bench.server.publish("/a", 1)
        history.is_away = True
        client = await bench.client()
        await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
        await wait(bench, MAX_TRIES)
        assert history.reads == MAX_TRIES
        for number in (2, 3):
            await bench.server.publish("/a", number)
        events = await client.events()
        assert (data(events), gaps(events)) == ([2, 3], [True, False])

    async def test_who_leaves_meanwhile_is_not_waited_for(self, bench: Bench, history: Away) -> None:
        history.is_away = history.notices = True
        client = await bench.client()
        before, timers = asyncio.all_tasks(), len(bench.server.core.timers)
        await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
        assert asyncio.all_tasks() > before
        await client.send("/meta/unsubscribe", subscription="/a")
        await bench.settle()
        assert asyncio.all_tasks() == before
        assert len(bench.server.core.timers) == timers
        assert client.session.extensions == ()

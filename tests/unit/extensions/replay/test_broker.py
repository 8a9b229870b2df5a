"""The road from publish to fan-out, when what lies below disturbs the order or loses something."""

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest

from bayeux_server.backends.memory.broker import MemoryBroker
from bayeux_server.backends.memory.history import MemoryHistory
from bayeux_server.ports import Page
from bayeux_server.protocol.channel_id import ChannelGrammar, ChannelId
from bayeux_server.protocol.messages import Publication
from extensions.replay.broker import ReplayBroker
from extensions.replay.stamp import Stamp
from tests.support.manual_clock import ManualClock

GRAMMAR = ChannelGrammar()
A, B = GRAMMAR.parse("/a"), GRAMMAR.parse("/b")


class DisorderlyBroker(MemoryBroker):
    """Keeps what is published until the test says what becomes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.on_its_way: list[Publication] = []

    def publish(self, publication: Publication) -> None:
        self.on_its_way.append(publication)

    def bring(self, order: Sequence[int]) -> None:
        assert self._on_publication is not None
        for index in order:
            self._on_publication(self.on_its_way[index])


class FailingHistory(MemoryHistory):
    """Cannot be read while ``is_down``."""

    is_down = False

    async def after(self, channel: ChannelId, last_id: int, limit: int) -> Page:
        await asyncio.sleep(0)
        if self.is_down:
            raise ConnectionError("down")
        return await super().after(channel, last_id, limit)


class Road:
    def __init__(self, *, max_messages: int = 100) -> None:
        self.clock = ManualClock()
        self.inner = DisorderlyBroker()
        self.history = FailingHistory(max_messages=max_messages)
        self.broker = ReplayBroker(self.inner, self.history, Stamp(["/**"], [], []), self.clock.now)
        self.delivered: list[Publication] = []

    async def publish(self, *data: int, channel: ChannelId = A) -> None:
        for each in data:
            await self.broker.publish(Publication(channel, b"%d" % each))

    async def bring(self, *order: int) -> list[int]:
        self.inner.bring(order)
        return await self.settled()

    async def settled(self) -> list[int]:
        for _ in range(200):
            await asyncio.sleep(0)
        return [int(publication.data) for publication in self.delivered]

    @property
    def gaps(self) -> list[bool]:
        return ["gap" in (publication.ext or {})["replay"] for publication in self.delivered]


@pytest.fixture
async def road() -> Road:
    return await started(Road())


async def started(road: Road) -> Road:
    await road.broker.start(road.delivered.append)
    return road


class TestOrder:
    async def test_what_comes_in_order_passes_at_once(self, road: Road) -> None:
        await road.publish(1, 2, 3)
        road.inner.bring((0, 1, 2))
        assert [int(publication.data) for publication in road.delivered] == [1, 2, 3]

    async def test_one_that_was_overtaken_is_put_in_its_place_and_not_told_twice(self, road: Road) -> None:
        await road.publish(1, 2, 3, 4)
        assert await road.bring(0, 2, 1, 3) == [1, 2, 3, 4]
        assert not any(road.gaps)

    async def test_any_disorder_after_the_first_comes_out_in_order(self, road: Road) -> None:
        count = 40
        await road.publish(*range(count))
        rng = random.Random(7)
        order = list(range(1, count))
        rng.shuffle(order)
        assert await road.bring(0, *order) == list(range(count))

    async def test_the_very_first_of_a_channel_may_be_overtaken_and_still_comes(self, road: Road) -> None:
        await road.publish(1, 2)
        assert await road.bring(1, 0) == [2, 1]

    async def test_but_not_for_ever(self, road: Road) -> None:
        await road.publish(1, 2)
        assert await road.bring(1) == [2]
        road.clock.advance(10)
        assert await road.bring(0) == [2]

    async def test_a_channel_that_waits_keeps_no_other_waiting(self, road: Road) -> None:
        await road.publish(1, 2, 3)
        await road.publish(9, channel=B)
        road.inner.bring((0, 2, 3))
        assert [int(publication.data) for publication in road.delivered] == [1, 9]
        assert await road.settled() == [1, 9, 2, 3]


class TestBetweenNodes:
    async def test_no_client_is_told_which_id_was_the_one_before(self, road: Road) -> None:
        """From id to id he could count what is hidden from him."""
        await road.publish(1, 2, 3)
        assert all("previous_id" in (publication.ext or {})["replay"] for publication in road.inner.on_its_way)
        await road.bring(0, 2, 1)
        assert [set((publication.ext or {})["replay"]) for publication in road.delivered] == [{"id"}] * 3

    async def test_a_node_whose_ids_rise_by_one_is_understood(self, road: Road) -> None:
        road.inner.on_its_way = [Publication(A, b"%d" % number, {"replay": {"id": number}}) for number in (7, 8, 9)]
        assert await road.bring(0, 1, 2) == [7, 8, 9]
        assert not any(road.gaps)


class TestLoss:
    async def test_what_the_broker_lost_comes_from_the_history(self, road: Road) -> None:
        await road.publish(*range(120 // 2))
        assert await road.bring(0, 59) == list(range(60))
        assert not any(road.gaps)

    async def test_what_neither_has_is_announced_with_the_next_event(self) -> None:
        road = await started(Road(max_messages=2))
        await road.publish(1, 2, 3, 4, 5)
        assert await road.bring(0, 4) == [1, 4, 5]
        assert road.gaps == [False, True, False]

    async def test_a_history_that_cannot_be_asked_is_a_gap_and_delays_nothing(self, road: Road) -> None:
        await road.publish(1, 2, 3)
        road.history.is_down = True
        assert await road.bring(0, 2) == [1, 3]
        assert road.gaps == [False, True]

    async def test_the_last_of_a_channel_is_fetched_when_the_broker_says_that_it_lost_some(self, road: Road) -> None:
        await road.publish(1, 2, 3)
        assert await road.bring(0) == [1]
        tell: Callable[[int | None], None]
        for tell in road.inner.on_gap:
            tell(None)
        assert await road.settled() == [1, 2, 3]
        assert await road.bring(1, 2) == [1, 2, 3]

    async def test_a_history_that_has_begun_anew_is_announced_with_its_first_event(self, road: Road) -> None:
        await road.publish(1, 2)
        assert await road.bring(0, 1) == [1, 2]
        await road.history.stop()
        await road.publish(3, 4)
        assert await road.bring(2, 3) == [1, 2, 3, 4]
        assert road.gaps == [False, False, True, False]

    async def test_stopping_ends_what_is_being_fetched(self, road: Road) -> None:
        await road.publish(1, 2, 3)
        road.inner.bring((0, 2))
        await road.broker.stop()
        assert await road.settled() == [1]

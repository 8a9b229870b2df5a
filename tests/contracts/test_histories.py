"""Histories under their contract, and the Redis one through a restart of a real Redis."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from redis import Redis as RedisClient

from bayeux_server.backends.memory.history import MemoryHistory
from bayeux_server.backends.redis import RedisHistory
from bayeux_server.backends.redis import history as redis_history
from bayeux_server.ports import MAX_STEP, History
from bayeux_server.protocol.channel_id import ChannelGrammar
from tests.contracts.broker import until
from tests.contracts.history import MAX_MESSAGES, A, B, HistoryContract, keep, now_us
from tests.support.services.redis import Redis

PREFIX = "test:"


class TestMemoryHistory(HistoryContract):
    @pytest.fixture
    def new_history(self) -> Callable[[], History]:
        return lambda: MemoryHistory(max_messages=MAX_MESSAGES)


class TestRedisHistory(HistoryContract):
    @pytest.fixture
    def new_history(self, redis_url: str) -> Callable[[], History]:
        return lambda: RedisHistory(redis_url, PREFIX, max_messages=MAX_MESSAGES)


class TestIdsOfOneMoment:
    """Their steps are random: how many lie between two of them cannot be told from their distance."""

    async def test_cannot_be_counted_in_memory(self) -> None:
        history = MemoryHistory(wall=lambda: 2_000.0)
        ids = [await keep(history, A, b"1") for _ in range(60)]
        assert len(set(steps(ids))) > 10

    @pytest.mark.parametrize("seeds", [(1, 1), (1, 2)])
    async def test_cannot_be_counted_in_redis(
        self, redis_url: str, monkeypatch: pytest.MonkeyPatch, seeds: tuple[int, int]
    ) -> None:
        found = []
        for prefix, seed in zip("ab", seeds, strict=True):
            monkeypatch.setattr("secrets.randbits", lambda _, seed=seed: seed)
            history = RedisHistory(redis_url, prefix, max_messages=5)
            await history.start()
            found.append(steps(await asyncio.gather(*(keep(history, A, b"1") for _ in range(30)))))
            await history.stop()
        assert len(set(found[0])) > 5
        assert (found[0] == found[1]) == (seeds[0] == seeds[1])


def steps(ids: Sequence[int]) -> list[int]:
    """Return the distance of each from the one before it."""
    return [later - earlier for earlier, later in pairwise(ids)]


class TestMemoryIsBounded:
    async def test_the_channel_longest_unused_is_forgotten_first(self) -> None:
        history = MemoryHistory(max_messages=10, max_bytes=100)
        first_id = await keep(history, A, b"x" * 60)
        await history.append(B, b"x" * 60)
        assert await history.last_id(A) == 0
        assert not (await history.after(A, first_id, 10)).complete
        assert await keep(history, A, b"1") > first_id

    async def test_channels_are_bounded(self) -> None:
        history = MemoryHistory(max_channels=2)
        grammar = ChannelGrammar()
        for name in ("/1", "/2", "/3"):
            await history.append(grammar.parse(name), b"1")
        assert list(await history.channels(grammar.parse("/*"), 10)) == ["/2", "/3"]

    async def test_a_clock_that_went_back_gives_no_id_twice(self) -> None:
        times = iter((2_000.0, 1_000.0, 1_000.0))
        history = MemoryHistory(max_channels=1, wall=lambda: next(times))
        first_id = await keep(history, A, b"1")
        await history.append(B, b"1")
        assert await keep(history, A, b"2") > first_id


class TestRedisOutage:
    async def test_it_cannot_start_without_redis(self) -> None:
        with Redis() as server:
            url = server.url
        with pytest.raises(OSError, match="ConnectionError"):
            await RedisHistory(url, PREFIX, max_messages=5).start()

    async def test_it_goes_on_after_a_restart_with_all_it_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(redis_history, "PING_INTERVAL_S", 0.02)
        with Redis(append_only=True) as server:
            history = RedisHistory(server.url, PREFIX, max_messages=5)
            await history.start()
            ids = [await keep(history, A, b"1"), await keep(history, A, b"2")]
            server.kill()
            with pytest.raises(OSError, match="ConnectionError"):
                await history.append(A, b'"lost"')
            with pytest.raises(OSError, match="ConnectionError"):
                await history.after(A, 0, 10)
            await until(lambda: history.unready() is not None)
            server.start()
            await until(lambda: history.unready() is None)
            ids.append(await keep(history, A, b"3"))
            page = await history.after(A, ids[0], 10)
            assert [(entry.id, entry.data) for entry in page.entries] == [(ids[1], b"2"), (ids[2], b"3")]
            assert page.complete
            await history.stop()

    async def test_a_restart_between_two_appends_fails_neither(self) -> None:
        with Redis(append_only=True) as server:
            history = RedisHistory(server.url, PREFIX, max_messages=5)
            await history.start()
            first_id = await keep(history, A, b"1")
            server.restart()
            assert (await history.append(A, b"2")).previous_id == first_id
            await history.stop()

    async def test_an_append_that_is_sent_again_is_kept_once(self, redis_url: str) -> None:
        history = RedisHistory(redis_url, PREFIX, max_messages=5)
        await history.start()
        first = await history.append(A, b"1")
        history._batches_sent -= 1
        assert await history.append(A, b"1") == first
        assert len((await history.after(A, 0, 10)).entries) == 1
        await history.stop()


class TestRedisIds:
    async def test_a_history_whose_ids_rose_by_one_goes_on(self, redis_url: str) -> None:
        with RedisClient.from_url(redis_url) as redis:
            for old_id in range(3, 8):
                redis.xadd("{test:history}:of:/a", {"d": b"%d" % old_id}, f"0-{old_id}")
        history = RedisHistory(redis_url, PREFIX, max_messages=5)
        await history.start()
        assert (await history.after(A, 2, 10)).complete
        assert not (await history.after(A, 1, 10)).complete
        place = await history.append(A, b"new")
        assert place.previous_id == 7
        assert place.id > now_us() - 60_000_000
        page = await history.after(A, 3, 10)
        assert [entry.id for entry in page.entries] == [4, 5, 6, 7, place.id]
        assert page.complete
        await history.stop()

    async def test_they_rise_though_redis_lost_the_last_ones_and_its_clock_is_behind(self, redis_url: str) -> None:
        """As a replica may be that takes over: it has not got everything, and a clock of its own."""
        history = RedisHistory(redis_url, PREFIX, max_messages=5)
        await history.start()
        first_id = await keep(history, A, b"1")
        history._highest_id = lost_id = first_id + 60_000_000
        second = await history.append(A, b"2")
        assert (second.previous_id, second.id > lost_id) == (first_id, True)
        assert not (await history.after(A, lost_id, 10)).complete
        await history.stop()

    async def test_they_rise_where_a_clock_ahead_gave_the_last_one(self, redis_url: str) -> None:
        ahead_id = now_us() + 60_000_000
        with RedisClient.from_url(redis_url) as redis:
            redis.xadd("{test:history}:of:/a", {"d": b"1", "p": b"0"}, f"0-{ahead_id}")
        history = RedisHistory(redis_url, PREFIX, max_messages=5)
        await history.start()
        place = await history.append(A, b"2")
        assert ahead_id < place.id <= ahead_id + MAX_STEP
        await history.stop()


class TestRedisIsBounded:
    async def test_a_channel_that_was_forgotten_is_not_listed(self, redis_url: str) -> None:
        history = RedisHistory(redis_url, PREFIX, max_messages=5)
        await history.start()
        await history.append(A, b"1")
        await history.append(B, b"1")
        with RedisClient.from_url(redis_url) as redis:
            assert redis.ttl("{test:history}:of:/a") > 600_000
            redis.delete("{test:history}:of:/a")
            assert list(await history.channels(ChannelGrammar().parse("/*"), 10)) == ["/b"]
            assert redis.zrange("{test:history}:channels", 0, -1) == [b"/b"]
        await history.stop()

    async def test_appends_of_one_turn_share_a_round_trip(self, redis_url: str) -> None:
        history = RedisHistory(redis_url, PREFIX, max_messages=5)
        await history.start()
        await history.append(A, b"1")
        with RedisClient.from_url(redis_url) as redis:
            redis.config_resetstat()
            await asyncio.gather(*(history.append(A, b"1") for _ in range(400)))
            assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 1
        await history.stop()

"""Answers under their contract, and their bounds."""

import pytest
from redis import Redis as RedisClient

from bayeux_server.backends.memory.answers import MemoryAnswers
from bayeux_server.backends.redis import RedisAnswers
from bayeux_server.ports import Answers
from tests.contracts.answers import ANSWER, HASH, AnswersContract
from tests.support.manual_clock import ManualClock
from tests.support.services.redis import Redis


class TestMemoryAnswers(AnswersContract):
    @pytest.fixture
    def new_answers(self) -> Answers:
        return MemoryAnswers(ManualClock().now)


class TestRedisAnswers(AnswersContract):
    @pytest.fixture
    def new_answers(self, redis_url: str) -> Answers:
        return RedisAnswers(redis_url, "test:")


class TestMemoryIsBounded:
    async def test_an_answer_is_kept_for_a_day(self) -> None:
        clock = ManualClock()
        answers = MemoryAnswers(clock.now)
        await answers.begin("sarah", "k", HASH)
        await answers.end("sarah", "k", HASH, ANSWER)
        clock.advance(86_399)
        assert await answers.begin("sarah", "k", HASH) is not None
        clock.advance(1)
        assert await answers.begin("sarah", "k", HASH) is None

    @pytest.mark.parametrize("bound", [{"max_answers": 2}, {"max_bytes": 2 * len(ANSWER[1])}])
    async def test_the_oldest_go_first(self, bound: dict[str, int]) -> None:
        answers = MemoryAnswers(ManualClock().now, **bound)
        for key in ("a", "b", "c"):
            await answers.begin("sarah", key, HASH)
            await answers.end("sarah", key, HASH, ANSWER)
        assert await answers.begin("sarah", "c", HASH) is not None
        assert await answers.begin("sarah", "a", HASH) is None


class TestRedis:
    async def test_nothing_stays_for_ever_and_no_name_is_readable(self, redis_url: str) -> None:
        answers = RedisAnswers(redis_url, "test:")
        await answers.start()
        with RedisClient.from_url(redis_url) as redis:
            await answers.begin("sarah", "k", HASH)
            (name,) = redis.keys("*")
            assert 0 < redis.ttl(name) <= 300
            await answers.end("sarah", "k", HASH, ANSWER)
            assert 300 < redis.ttl(name) <= 86_400
        assert b"sarah" not in name
        await answers.stop()

    async def test_one_that_is_away_is_said(self) -> None:
        with Redis() as server:
            answers = RedisAnswers(server.url, "test:")
            await answers.start()
        with pytest.raises(OSError, match="ConnectionError"):
            await answers.begin("sarah", "k", HASH)
        with pytest.raises(OSError, match="ConnectionError"):
            await answers.end("sarah", "k", HASH, ANSWER)
        await answers.stop()

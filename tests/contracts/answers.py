"""What every :class:`bayeux_server.ports.Answers` must do."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bayeux_server.ports import Answers, Kept

HASH, OTHER_HASH = b"1" * 32, b"2" * 32
ANSWER = (200, b'{"results":[]}')


class AnswersContract:
    """Subclasses give a fixture ``new_answers``: answers that were not started."""

    @pytest.fixture
    async def answers(self, new_answers: Answers) -> AsyncIterator[Answers]:
        await new_answers.start()
        yield new_answers
        await new_answers.stop()

    async def test_a_request_is_under_way_until_it_is_answered(self, answers: Answers) -> None:
        assert await answers.begin("sarah", "k", HASH) is None
        assert await answers.begin("sarah", "k", OTHER_HASH) == Kept(HASH, None)
        await answers.end("sarah", "k", HASH, ANSWER)
        assert await answers.begin("sarah", "k", HASH) == Kept(HASH, ANSWER)

    async def test_of_many_at_once_one_begins(self, answers: Answers) -> None:
        begun = await asyncio.gather(*(answers.begin("sarah", "k", HASH) for _ in range(20)))
        assert begun.count(None) == 1

    async def test_a_request_that_may_come_again_is_forgotten(self, answers: Answers) -> None:
        await answers.begin("sarah", "k", HASH)
        await answers.end("sarah", "k", HASH, None)
        assert await answers.begin("sarah", "k", OTHER_HASH) is None

    async def test_users_and_keys_are_told_apart(self, answers: Answers) -> None:
        names = [("sarah", "k"), ("sarah", "kk"), ("sarahk", "k"), ("s", "arahk"), ("", "sarahk"), ("1:s", "k")]
        assert [await answers.begin(user_id, key, HASH) for user_id, key in names] == [None] * len(names)

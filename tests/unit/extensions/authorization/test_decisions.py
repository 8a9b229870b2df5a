"""Decisions: how long they live, what ends them, and that not knowing is a no."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from collections.abc import Set as AbstractSet

import pytest

from extensions.authorization.decisions import Decisions
from extensions.authorization.ports import Check, CheckerUnavailableError, Watcher

SARAH = Check("sarah", "view", "task", "1")
CHEN = Check("chen", "view", "task", "2")
NONE: frozenset[str] = frozenset()


class ScriptedChecker:
    """A checker that a test leads by the hand: it answers when it is let, what it is told."""

    def __init__(self) -> None:
        self.allowed: set[Check] = set()
        self.asked: list[tuple[list[Check], str | None]] = []
        self.fails = False
        self.at_once = False
        self.asked_now: list[tuple[str, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.watcher: Watcher | None = None

    async def start(self, watcher: Watcher) -> None:
        self.watcher = watcher

    async def stop(self) -> None:
        self.watcher = None

    def unready(self) -> str | None:
        return "scripted" if self.fails else None

    def holders_now(
        self, user_ids: Collection[str], permission: str, object_type: str, object_id: str
    ) -> AbstractSet[str] | None:
        if not self.at_once:
            return None
        self.asked_now.append(tuple(user_ids))
        return {each for each in user_ids if Check(each, permission, object_type, object_id) in self.allowed}

    async def check_bulk(self, checks: Sequence[Check], *, at_least: str | None = None) -> list[bool]:
        self.asked.append((list(checks), at_least))
        answers = [check in self.allowed for check in checks]
        self.entered.set()
        await self.gate.wait()
        if self.fails:
            raise CheckerUnavailableError("scripted")
        return answers


class Rig:
    """Decisions over a scripted checker, with a clock to turn."""

    def __init__(self) -> None:
        self.now = 100.0
        self.checker = ScriptedChecker()
        self.revoked: list[tuple[str, str, str]] = []
        self.told = asyncio.Event()
        self.decisions = Decisions(
            self.checker, lambda: self.now, max_objects=3, on_revoked=self._on_revoked, retry_s=1.0
        )

    def _on_revoked(self, *pair: str) -> None:
        user_id, object_type, object_id = pair
        self.revoked.append((user_id, object_type, object_id))
        self.told.set()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.decisions.start()
    yield rig
    rig.checker.gate.set()
    await rig.decisions.stop()


class TestAsking:
    async def test_a_cold_decision_is_unknown_until_it_was_ensured(self, rig: Rig) -> None:
        rig.checker.allowed = {SARAH}
        assert rig.decisions.decide(*SARAH) is None
        await rig.decisions.ensure([SARAH, CHEN])
        assert rig.decisions.decide(*SARAH) is True
        assert rig.decisions.decide(*CHEN) is False
        assert len(rig.checker.asked) == 1

    async def test_many_users_are_decided_at_once_as_each_would_be_alone(self, rig: Rig) -> None:
        rig.checker.allowed = {SARAH}
        await rig.decisions.ensure([SARAH])
        rig.now += 3
        await rig.decisions.ensure([SARAH._replace(user_id="chen"), SARAH._replace(user_id="omar", permission="edit")])
        users = ("omar", "sarah", "chen")
        assert rig.decisions.decide_all(users, *SARAH[1:]) == [None, True, False]
        rig.now += 2
        assert rig.decisions.decide_all(users, *SARAH[1:]) == [None, None, False]
        rig.decisions.changed(frozenset({("task", "1")}), NONE, None)
        assert rig.decisions.decide_all(users, *SARAH[1:]) == [None, None, None]

    async def test_the_cold_among_many_are_asked_about_in_one_go_and_once(self, rig: Rig) -> None:
        rig.checker.at_once, rig.checker.allowed = True, {SARAH, SARAH._replace(user_id="omar")}
        assert rig.decisions.decide(*SARAH) is True
        for _ in range(2):
            assert rig.decisions.decide_all(("chen", "sarah", "omar"), *SARAH[1:]) == [False, True, True]
        assert rig.checker.asked_now == [("sarah",), ("chen", "omar")]
        rig.decisions.changed(frozenset({("task", "1")}), NONE, None)
        rig.checker.allowed = {SARAH}
        assert rig.decisions.decide_all(("chen", "sarah", "omar"), *SARAH[1:]) == [False, True, False]

    async def test_whoever_asks_in_one_turn_asks_together_and_nothing_twice(self, rig: Rig) -> None:
        rig.checker.gate.clear()
        first = asyncio.gather(rig.decisions.ensure([SARAH]), rig.decisions.ensure([CHEN]))
        await rig.checker.entered.wait()
        late = asyncio.ensure_future(rig.decisions.check(SARAH))
        rig.checker.gate.set()
        await first
        assert await late is False
        assert [checks for checks, _ in rig.checker.asked] == [[SARAH, CHEN]]

    async def test_warm_decisions_are_not_asked_for(self, rig: Rig) -> None:
        await rig.decisions.ensure([SARAH])
        await rig.decisions.ensure([SARAH])
        assert len(rig.checker.asked) == 1

    async def test_no_answer_is_a_no_and_is_asked_for_again_soon(self, rig: Rig) -> None:
        rig.checker.allowed, rig.checker.fails = {SARAH}, True
        assert await rig.decisions.check(SARAH) is False
        rig.checker.fails = False
        rig.now += 0.9
        assert await rig.decisions.check(SARAH) is False
        rig.now += 0.2
        assert await rig.decisions.check(SARAH) is True

    async def test_decisions_about_few_objects_are_kept(self, rig: Rig) -> None:
        for number in range(5):
            await rig.decisions.ensure([Check("sarah", "view", "task", str(number))])
        known = [rig.decisions.decide("sarah", "view", "task", str(number)) is not None for number in range(5)]
        assert known == [False, False, True, True, True]


class TestLifetime:
    async def test_without_a_watch_a_decision_lives_five_seconds(self, rig: Rig) -> None:
        await rig.decisions.ensure([SARAH])
        rig.now += 4.9
        assert rig.decisions.decide(*SARAH) is False
        rig.now += 0.2
        assert rig.decisions.decide(*SARAH) is None

    async def test_with_one_it_lives_longer(self, rig: Rig) -> None:
        rig.decisions.watching(alive=True)
        await rig.decisions.ensure([SARAH])
        rig.now += 59
        assert rig.decisions.decide(*SARAH) is False
        rig.now += 2
        assert rig.decisions.decide(*SARAH) is None

    @pytest.mark.parametrize("alive", [False, True])
    async def test_a_break_and_a_new_beginning_of_the_watch_forget_everything(self, rig: Rig, alive: bool) -> None:
        await rig.decisions.ensure([SARAH])
        rig.decisions.watching(alive=alive)
        assert rig.decisions.decide(*SARAH) is None


class TestChanges:
    async def test_a_change_forgets_its_object_alone(self, rig: Rig) -> None:
        await rig.decisions.ensure([SARAH, CHEN])
        rig.decisions.changed(frozenset({("task", "1")}), NONE, "zed1")
        assert rig.decisions.decide(*SARAH) is None
        assert rig.decisions.decide(*CHEN) is False

    async def test_a_change_of_types_forgets_their_objects(self, rig: Rig) -> None:
        team = Check("sarah", "view", "team", "t")
        await rig.decisions.ensure([SARAH, team])
        rig.decisions.changed(frozenset(), frozenset({"task"}), None)
        assert rig.decisions.decide(*SARAH) is None
        assert rig.decisions.decide(*team) is False

    async def test_what_is_asked_after_a_change_is_asked_as_of_it(self, rig: Rig) -> None:
        await rig.decisions.ensure([SARAH])
        rig.decisions.changed(frozenset({("task", "1")}), NONE, "zed1")
        await rig.decisions.ensure([SARAH])
        assert [token for _, token in rig.checker.asked] == [None, "zed1"]

    async def test_an_answer_overtaken_by_a_change_is_asked_for_again(self, rig: Rig) -> None:
        rig.checker.allowed = {SARAH}
        rig.checker.gate.clear()
        asking = asyncio.ensure_future(rig.decisions.check(SARAH))
        await rig.checker.entered.wait()
        rig.checker.allowed = set()
        rig.decisions.changed(frozenset({("task", "1")}), NONE, "zed1")
        rig.checker.gate.set()
        assert await asking is False
        assert [token for _, token in rig.checker.asked] == [None, "zed1"]


class TestRevocation:
    async def test_a_held_pair_that_loses_its_permission_is_told_once(self, rig: Rig) -> None:
        rig.decisions.hold(SARAH)
        rig.decisions.changed(frozenset({("task", "1")}), NONE, "zed1")
        await rig.told.wait()
        assert rig.revoked == [("sarah", "task", "1")]
        assert rig.checker.asked == [([SARAH], "zed1")]
        rig.decisions.changed(frozenset({("task", "1")}), NONE, "zed2")
        await rig.decisions.recheck()
        assert len(rig.revoked) == 1

    async def test_a_kept_yes_that_turns_is_told_too(self, rig: Rig) -> None:
        rig.checker.allowed = {SARAH}
        await rig.decisions.ensure([SARAH, CHEN])
        rig.checker.allowed = set()
        rig.decisions.changed(frozenset({("task", "1"), ("task", "2")}), NONE, None)
        await rig.told.wait()
        assert rig.revoked == [("sarah", "task", "1")]

    async def test_a_pair_that_keeps_its_permission_or_was_released_is_not_told(self, rig: Rig) -> None:
        rig.checker.allowed = {SARAH}
        rig.decisions.hold(SARAH)
        rig.decisions.hold(SARAH)
        rig.decisions.release(SARAH)
        rig.decisions.hold(CHEN)
        rig.decisions.release(CHEN)
        rig.decisions.release(CHEN)
        rig.decisions.changed(frozenset({("task", "1"), ("task", "2")}), NONE, None)
        await rig.decisions.recheck()
        assert rig.revoked == []
        assert rig.checker.asked == [([SARAH], None)]

    async def test_while_the_checker_is_silent_pairs_stay_suspect_and_decisions_are_no(self, rig: Rig) -> None:
        rig.decisions.hold(SARAH)
        rig.checker.fails = True
        rig.decisions.watching(alive=False)
        with pytest.raises(CheckerUnavailableError):
            await rig.decisions.recheck()
        assert await rig.decisions.check(SARAH) is False
        assert rig.revoked == []
        rig.checker.fails = False
        await rig.decisions.recheck()
        assert rig.revoked == [("sarah", "task", "1")]

"""The contract of every :class:`channels.locks.store.LockStore`: the same commands, the same answers and changes.

A subclass gives the ``store`` fixture, made with ``TIMES``. Time is the test's: ``at(seconds)``.
"""

from collections.abc import Sequence

import pytest

from channels.locks.model import Holder, LockChange, LockEnd, LockLimitReached, LockTimes
from channels.locks.store import LockStore

TIMES = LockTimes(locks_per_session=3)
BORN_S = 1_763_028_000.0
SARAH = Holder("s1", "cc_456", "Sarah Jöhnson")
SARAHS_OTHER_TAB = Holder("s2", "cc_456", "Sarah Jöhnson")
MIKE = Holder("m1", "cc_789", "Mike Chen")


def at(seconds: float) -> float:
    return BORN_S + seconds


def told(changes: Sequence[LockChange]) -> list[tuple[str, str, LockEnd | None]]:
    return [(change.user_id, change.field_name, change.ended) for change in changes]


class LockStoreContract:
    @pytest.fixture
    def store(self) -> LockStore:
        raise NotImplementedError

    async def test_a_free_field_is_locked_with_a_token_and_a_lease(self, store: LockStore) -> None:
        attempt = await store.acquire("task_1", "notes", SARAH, at(0))
        assert attempt.granted
        assert attempt.replaced is None
        assert attempt.lock.holder == SARAH
        assert attempt.lock.expires_at_ms == round(at(30) * 1000)
        (change,) = attempt.changes
        assert change == LockChange(
            "task_1", "notes", attempt.lock.token, "cc_456", "Sarah Jöhnson", None, round(at(0) * 1000)
        )

    async def test_a_held_field_is_refused_with_its_holder(self, store: LockStore) -> None:
        await store.acquire("task_1", "notes", SARAH, at(0))
        attempt = await store.acquire("task_1", "notes", MIKE, at(29.999))
        assert not attempt.granted
        assert attempt.lock.holder == SARAH
        assert attempt.changes == ()

    async def test_other_fields_and_tasks_stay_free(self, store: LockStore) -> None:
        await store.acquire("task_1", "notes", SARAH, at(0))
        assert (await store.acquire("task_1", "status", MIKE, at(0))).granted
        assert (await store.acquire("task_2", "notes", MIKE, at(0))).granted

    async def test_asking_again_renews_and_keeps_the_token(self, store: LockStore) -> None:
        first = await store.acquire("task_1", "notes", SARAH, at(0))
        again = await store.acquire("task_1", "notes", SARAH, at(20))
        assert again.granted
        assert again.lock.token == first.lock.token
        assert again.changes == ()
        assert not (await store.acquire("task_1", "notes", MIKE, at(49.999))).granted

    async def test_a_lapsed_lock_goes_to_the_next_with_a_higher_token(self, store: LockStore) -> None:
        first = await store.acquire("task_1", "notes", SARAH, at(0))
        second = await store.acquire("task_1", "notes", MIKE, at(30))
        assert second.granted
        assert second.replaced is None
        assert second.lock.token > first.lock.token
        assert told(second.changes) == [("cc_456", "notes", LockEnd.EXPIRED), ("cc_789", "notes", None)]

    async def test_another_tab_of_the_holder_gets_it_with_a_higher_token(self, store: LockStore) -> None:
        first = await store.acquire("task_1", "notes", SARAH, at(0))
        second = await store.acquire("task_1", "notes", SARAHS_OTHER_TAB, at(1))
        assert second.granted
        assert second.replaced == SARAH
        assert second.lock.token > first.lock.token
        assert await store.release("task_1", "notes", "s1", at(2)) == []

    async def test_a_take_over_ends_the_lock_and_names_its_holder(self, store: LockStore) -> None:
        first = await store.acquire("task_1", "notes", SARAH, at(0))
        taken = await store.take_over("task_1", "notes", MIKE, at(1))
        assert taken.granted
        assert taken.replaced == SARAH
        assert taken.lock.token > first.lock.token
        assert told(taken.changes) == [("cc_456", "notes", LockEnd.TAKEN_OVER), ("cc_789", "notes", None)]
        assert await store.renew("task_1", "s1", at(2)) == 0
        own = await store.take_over("task_1", "notes", MIKE, at(3))
        assert (own.lock.token, own.replaced, own.changes) == (taken.lock.token, None, ())

    async def test_a_release_frees_the_field_for_others(self, store: LockStore) -> None:
        await store.acquire("task_1", "notes", SARAH, at(0))
        assert await store.release("task_1", "notes", "m1", at(1)) == []
        assert told(await store.release("task_1", "notes", "s1", at(1))) == [("cc_456", "notes", LockEnd.RELEASED)]
        assert await store.release("task_1", "notes", "s1", at(1)) == []
        assert (await store.acquire("task_1", "notes", MIKE, at(1))).granted

    async def test_leaving_a_task_releases_its_fields_only(self, store: LockStore) -> None:
        await store.acquire("task_1", "status", SARAH, at(0))
        await store.acquire("task_1", "notes", SARAH, at(0))
        await store.acquire("task_2", "notes", SARAH, at(0))
        left = await store.release_task("task_1", "s1", at(1))
        assert [change.field_name for change in left] == ["notes", "status"]
        assert told(await store.release_session("s1", at(2))) == [("cc_456", "notes", LockEnd.RELEASED)]

    async def test_a_heartbeat_renews_the_locks_of_its_task(self, store: LockStore) -> None:
        await store.acquire("task_1", "notes", SARAH, at(0))
        await store.acquire("task_2", "notes", SARAH, at(0))
        assert await store.renew("task_1", "s1", at(20)) == 1
        changes, due_in_s = await store.expire(at(30))
        assert [change.task_id for change in changes] == ["task_2"]
        assert due_in_s == pytest.approx(20)

    async def test_a_lapsed_lock_is_not_revived_by_a_heartbeat(self, store: LockStore) -> None:
        await store.acquire("task_1", "notes", SARAH, at(0))
        assert await store.renew("task_1", "s1", at(30)) == 0
        changes, _ = await store.expire(at(30))
        assert told(changes) == [("cc_456", "notes", LockEnd.EXPIRED)]
        assert (await store.expire(at(31)))[0] == []

    async def test_a_lost_connection_keeps_its_locks_for_the_grace_time(self, store: LockStore) -> None:
        await store.acquire("task_1", "notes", SARAH, at(0))
        await store.lose("s1", at(29))
        await store.lose("s1", at(35))
        assert not (await store.acquire("task_1", "notes", MIKE, at(40.999))).granted
        assert await store.resume("s1", at(40.999)) == 1
        assert not (await store.acquire("task_1", "notes", MIKE, at(70))).granted

    async def test_a_lost_connection_keeps_its_locks_no_longer_than_the_grace_time(self, store: LockStore) -> None:
        await store.acquire("task_1", "notes", SARAH, at(0))
        await store.lose("s1", at(1))
        assert await store.resume("s1", at(13)) == 0
        assert (await store.acquire("task_1", "notes", MIKE, at(13))).granted

    async def test_the_grace_time_counts_from_the_loss_and_not_from_when_it_was_told(self, store: LockStore) -> None:
        await store.acquire("task_1", "notes", SARAH, at(0))
        await store.lose("s1", at(10), gone_for_s=1.5)
        assert (await store.expire(at(20.499)))[0] == []
        assert told((await store.expire(at(20.5)))[0]) == [("cc_456", "notes", LockEnd.EXPIRED)]

    async def test_the_last_token_of_a_free_field_is_remembered(self, store: LockStore) -> None:
        assert await store.of_task("task_1", at(0)) == {}
        lock = (await store.acquire("task_1", "notes", SARAH, at(0))).lock
        await store.release("task_1", "notes", "s1", at(1))
        remembered = (await store.of_task("task_1", at(1)))["notes"]
        assert remembered.token == lock.token
        assert remembered.held_by(round(at(1) * 1000)) is None

    async def test_a_session_may_hold_so_many_locks(self, store: LockStore) -> None:
        for name in ("a", "b", "c"):
            await store.acquire("task_1", name, SARAH, at(0))
        with pytest.raises(LockLimitReached):
            await store.acquire("task_1", "d", SARAH, at(1))
        with pytest.raises(LockLimitReached):
            await store.take_over("task_1", "d", SARAH, at(1))
        assert (await store.acquire("task_1", "c", SARAH, at(1))).granted
        await store.release("task_1", "a", "s1", at(2))
        assert (await store.acquire("task_1", "d", SARAH, at(2))).granted

    async def test_a_change_is_kept_until_it_is_settled(self, store: LockStore) -> None:
        (locked,) = (await store.acquire("task_1", "notes", SARAH, at(0))).changes
        (unlocked,) = await store.release("task_1", "notes", "s1", at(1))
        assert await store.unsettled(at(5.5), older_than_s=5) == [locked]
        await store.settle([locked.event_id])
        assert await store.unsettled(at(6), older_than_s=5) == [unlocked]
        await store.settle([unlocked.event_id])
        await store.settle([])
        assert await store.unsettled(at(6), older_than_s=5) == []

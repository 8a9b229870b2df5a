"""The guard of writes: one objection for each field, the holder named, the value never asked for."""

from collections.abc import Mapping

from channels.locks.guard import LockMode, NoLocks, StoreLockGuard, WriteIntent, judge
from channels.locks.model import FieldLock, Holder

NOW_MS = 1_763_028_000_000
SARAH = Holder("s1", "cc_456", "Sarah Johnson")
HELD = FieldLock("notes", 7, SARAH, NOW_MS + 30_000)
ENDED = FieldLock("status", 9, None, NOW_MS - 1)


def intent(user_id: str, *fields: str, **tokens: int) -> WriteIntent:
    return WriteIntent("task_1", frozenset(fields), user_id, tokens)


class TestJudging:
    def test_a_field_nobody_locked_may_be_written(self) -> None:
        assert judge({}, intent("cc_789", "notes"), LockMode.ENFORCED, NOW_MS).allowed

    def test_a_field_held_by_another_is_refused_with_the_holder(self) -> None:
        verdict = judge({"notes": HELD}, intent("cc_789", "notes", "title"), LockMode.ENFORCED, NOW_MS)
        assert not verdict.allowed
        assert verdict.body("task_1") == {
            "error": "LOCKED",
            "message": "A field is locked by another user",
            "task_id": "task_1",
            "locked_fields": [
                {
                    "field_name": "notes",
                    "reason": "held",
                    "user_id": "cc_456",
                    "user_name": "Sarah Johnson",
                    "expires_at": "2025-11-13T10:00:30.000Z",
                }
            ],
            "holder": {"user_id": "cc_456", "user_name": "Sarah Johnson"},
        }

    def test_the_whole_task_is_refused_to_all_but_the_holder_of_any_field(self) -> None:
        locks = {"notes": HELD, "status": ENDED}
        verdict = judge(locks, WriteIntent("task_1", None, "cc_789"), LockMode.ENFORCED, NOW_MS)
        assert [(each.field_name, each.user_id) for each in verdict.objections] == [("notes", "cc_456")]
        assert judge(locks, WriteIntent("task_1", None, "cc_456"), LockMode.ENFORCED, NOW_MS).allowed

    def test_anothers_token_does_not_help(self) -> None:
        assert not judge({"notes": HELD}, intent("cc_789", "notes", notes=7), LockMode.ENFORCED, NOW_MS).allowed

    def test_the_holder_writes_with_and_without_the_token(self) -> None:
        assert judge({"notes": HELD}, intent("cc_456", "notes"), LockMode.ENFORCED, NOW_MS).allowed
        assert judge({"notes": HELD}, intent("cc_456", "notes", notes=7), LockMode.ENFORCED, NOW_MS).allowed

    def test_an_older_token_is_refused_even_to_the_holders_other_tab(self) -> None:
        verdict = judge({"notes": HELD}, intent("cc_456", "notes", notes=6), LockMode.ENFORCED, NOW_MS)
        assert not verdict.allowed
        assert verdict.body("task_1") == {
            "error": "LOCKED",
            "message": "The lock was lost",
            "task_id": "task_1",
            "locked_fields": [{"field_name": "notes", "reason": "old_token"}],
        }

    def test_the_last_token_of_an_ended_lock_is_still_good(self) -> None:
        assert judge({"status": ENDED}, intent("cc_456", "status", status=9), LockMode.ENFORCED, NOW_MS).allowed
        assert not judge({"status": ENDED}, intent("cc_456", "status", status=8), LockMode.ENFORCED, NOW_MS).allowed

    def test_a_token_nobody_remembers_is_refused(self) -> None:
        assert not judge({}, intent("cc_456", "notes", notes=7), LockMode.ENFORCED, NOW_MS).allowed

    def test_a_lapsed_lease_holds_nobody_off(self) -> None:
        assert judge({"notes": HELD}, intent("cc_789", "notes"), LockMode.ENFORCED, NOW_MS + 30_000).allowed

    def test_advisory_locks_object_and_allow(self) -> None:
        verdict = judge({"notes": HELD}, intent("cc_789", "notes"), LockMode.ADVISORY, NOW_MS)
        assert verdict.allowed
        assert [objection.user_name for objection in verdict.objections] == ["Sarah Johnson"]


class TestGuards:
    async def test_the_guard_asks_the_store_at_the_time_of_the_write(self) -> None:
        async def of_task(task_id: str, _now_s: float) -> Mapping[str, FieldLock]:
            return {"notes": HELD} if task_id == "task_1" else {}

        now_s = [NOW_MS / 1000]
        guard = StoreLockGuard(of_task, lambda: now_s[0])
        assert not (await guard.check(intent("cc_789", "notes"))).allowed
        now_s[0] += 30
        assert (await guard.check(intent("cc_789", "notes"))).allowed

    async def test_without_locks_every_write_passes(self) -> None:
        assert (await NoLocks().check(intent("cc_789", "notes", notes=1))).allowed

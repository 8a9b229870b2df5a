"""What the contract of the stores cannot see: what is kept of a task without locks."""

from channels.locks.model import Holder, LockTimes
from channels.locks.table import LockTable

BORN_MS = 1_763_028_000_000
TIMES = LockTimes()
SARAH = Holder("s1", "cc_456", "Sarah Johnson")


class TestATaskWithoutLocks:
    def test_its_tokens_are_remembered_for_an_hour_and_rise_after_that(self) -> None:
        table = LockTable(TIMES)
        first = table.acquire("task_1", "notes", SARAH, BORN_MS).lock.token
        table.release("task_1", "notes", "s1", BORN_MS)
        table.expire(BORN_MS + TIMES.retention_ms - 1)
        assert table.of_task("task_1")["notes"].token == first
        table.expire(BORN_MS + TIMES.retention_ms)
        assert table.of_task("task_1") == {}
        assert table.next_due_ms is None
        assert table.acquire("task_1", "notes", SARAH, BORN_MS + TIMES.retention_ms).lock.token > first

"""What the contract of the stores cannot see: versions of tasks long deserted, and what is kept of them."""

from channels.presence.events import UserJoined
from channels.presence.model import Person, PresenceTimes, Touch
from channels.presence.table import PresenceTable

BORN_MS = 1_763_028_000_000
TOUCH = Touch("task_1", "s1", Person("cc_456", "Sarah Johnson", "care_coordinator"))
TIMES = PresenceTimes()


class TestADesertedTask:
    def test_its_version_goes_on_for_an_hour(self) -> None:
        table = PresenceTable(TIMES)
        table.touch(TOUCH, BORN_MS)
        (joined,) = table.flush(BORN_MS + 100)
        table.leave("task_1", "s1", BORN_MS + 1_000)
        table.flush(BORN_MS + 1_100)
        table.flush(BORN_MS + 1_100 + TIMES.retention_ms - 1)
        table.touch(TOUCH, BORN_MS + 1_100 + TIMES.retention_ms - 1)
        (again,) = table.flush(BORN_MS + 1_200 + TIMES.retention_ms)
        assert again.version == joined.version + 2

    def test_it_is_forgotten_after_that_and_its_versions_still_rise(self) -> None:
        table = PresenceTable(TIMES)
        table.touch(TOUCH, BORN_MS)
        (joined,) = table.flush(BORN_MS + 100)
        table.leave("task_1", "s1", BORN_MS + 1_000)
        table.flush(BORN_MS + 1_100)
        assert [table.next_due_ms] == [BORN_MS + 1_100 + TIMES.retention_ms]
        table.flush(BORN_MS + 1_100 + TIMES.retention_ms)
        assert [table.next_due_ms] == [None]
        table.touch(TOUCH, BORN_MS + 1_200 + TIMES.retention_ms)
        (again,) = table.flush(BORN_MS + 1_300 + TIMES.retention_ms)
        assert isinstance(again, UserJoined)
        assert again.version > joined.version + 1

    def test_asking_for_its_snapshot_keeps_its_version(self) -> None:
        table = PresenceTable(TIMES)
        version = table.snapshot("task_1", BORN_MS).version
        table.snapshot("task_1", BORN_MS + TIMES.retention_ms - 1)
        table.flush(BORN_MS + TIMES.retention_ms)
        assert table.snapshot("task_1", BORN_MS + TIMES.retention_ms).version == version

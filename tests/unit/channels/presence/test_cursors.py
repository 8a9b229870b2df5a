"""Cursors: ten a second for each session, and the latest wins."""

from channels.presence.cursors import CursorGate, Pointed
from channels.presence.model import CursorPosition, Person

SARAH = Person("cc_456", "Sarah Johnson", "care_coordinator")


def pointed(index: int, session: str = "s1", task: str = "task_1") -> Pointed:
    return Pointed(task, session, SARAH, CursorPosition("notes", index))


class TestCursorGate:
    def test_the_first_passes_at_once(self) -> None:
        gate = CursorGate()
        assert gate.offer(pointed(1), 1_000)
        assert [gate.next_due_ms] == [None]

    def test_of_those_that_come_too_soon_the_latest_passes_when_its_time_has_come(self) -> None:
        gate = CursorGate()
        gate.offer(pointed(1), 1_000)
        assert not gate.offer(pointed(2), 1_010)
        assert not gate.offer(pointed(3), 1_020)
        assert [gate.next_due_ms] == [1_100]
        assert gate.take_due(1_099) == []
        assert gate.take_due(1_100) == [pointed(3)]
        assert gate.take_due(1_200) == []
        assert not gate.offer(pointed(4), 1_150)

    def test_no_more_than_ten_pass_in_a_second(self) -> None:
        gate = CursorGate()
        passed = 0
        for at_ms in range(1_000, 2_000):
            passed += len(gate.take_due(at_ms))
            passed += gate.offer(pointed(at_ms), at_ms)
        assert passed == 10

    def test_a_newer_one_that_may_pass_drops_the_one_that_waits(self) -> None:
        gate = CursorGate()
        gate.offer(pointed(1), 1_000)
        gate.offer(pointed(2), 1_010)
        assert gate.offer(pointed(3), 1_100)
        assert gate.take_due(1_300) == []

    def test_sessions_do_not_slow_each_other(self) -> None:
        gate = CursorGate()
        assert gate.offer(pointed(1, "s1"), 1_000)
        assert gate.offer(pointed(1, "s2"), 1_000)

    def test_leaving_drops_what_waits_for_that_task(self) -> None:
        gate = CursorGate()
        gate.offer(pointed(1), 1_000)
        gate.offer(pointed(2, task="task_2"), 1_010)
        gate.forget("s1", "task_1")
        assert [gate.next_due_ms] == [1_100]
        gate.forget("s1")
        assert [gate.next_due_ms] == [None]
        assert gate.offer(pointed(3), 1_020)

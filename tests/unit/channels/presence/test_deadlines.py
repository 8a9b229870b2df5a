"""One heap for many deadlines."""

from channels.presence.deadlines import Deadlines


class TestDeadlines:
    def test_the_earliest_comes_first(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        for key, at_ms in (("b", 20), ("a", 10), ("c", 30)):
            deadlines.set(key, at_ms)
        assert deadlines.next_ms() == 10
        assert deadlines.pop_due(20) == [("a", 10), ("b", 20)]
        assert len(deadlines) == 1

    def test_a_later_moment_replaces_an_earlier_one(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        deadlines.set("a", 10)
        deadlines.set("a", 50)
        assert deadlines.pop_due(49) == []
        assert deadlines.next_ms() == 50

    def test_an_earlier_moment_replaces_a_later_one(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        deadlines.set("a", 50)
        deadlines.set("a", 10)
        assert deadlines.pop_due(10) == [("a", 10)]
        assert deadlines.next_ms() is None

    def test_a_forgotten_key_is_never_due(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        deadlines.set("a", 10)
        deadlines.set("a", None)
        deadlines.set("b", None)
        assert deadlines.next_ms() is None
        assert deadlines.pop_due(100) == []

    def test_no_more_are_taken_than_asked_for(self) -> None:
        deadlines: Deadlines[int] = Deadlines()
        for key in range(5):
            deadlines.set(key, key)
        assert [key for key, _ in deadlines.pop_due(10, limit=2)] == [0, 1]
        assert [key for key, _ in deadlines.pop_due(10)] == [2, 3, 4]

    def test_memory_stays_bounded_when_moments_move_to_and_fro(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        for at_ms in range(10_000, 0, -1):
            deadlines.set("a", at_ms)
        assert len(deadlines._heap) < 100
        assert deadlines.pop_due(1) == [("a", 1)]

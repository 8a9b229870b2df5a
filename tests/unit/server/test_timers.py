from structlog.testing import capture_logs

from bayeux_server.server.timers import Timer, Timers


class TestTimers:
    def setup_method(self) -> None:
        self.armed: list[float] = []
        self.ran: list[str] = []
        self.timers = Timers(self.armed.append)

    def _at(self, when_s: float, name: str) -> Timer:
        return self.timers.call_at(when_s, lambda: self.ran.append(name))

    def test_run_in_the_order_they_are_due(self) -> None:
        for when_s, name in ((3, "c"), (1, "a"), (2, "b")):
            self._at(when_s, name)
        self.timers.run_due(2)
        assert self.ran == ["a", "b"]

    def test_ask_to_be_woken_only_for_what_is_earlier(self) -> None:
        for when_s in (5, 9, 3):
            self._at(when_s, "")
        assert self.armed == [5, 3]
        self.timers.run_due(3)
        assert self.armed[-1] == 5

    def test_cancelled_one_does_not_run(self) -> None:
        timer = self.timers.call_at(1, lambda: self.ran.append("a"))
        assert timer.pending
        timer.cancel()
        timer.cancel()
        self.timers.run_due(1)
        assert self.ran == []
        assert not timer.pending

    def test_one_that_raises_stops_no_other(self) -> None:
        self.timers.call_at(1, lambda: 1 / 0)
        self._at(1, "b")
        with capture_logs() as entries:
            self.timers.run_due(1)
        assert self.ran == ["b"]
        assert [entry["event"] for entry in entries] == ["timer.failed"]

    def test_callback_may_set_another_that_is_due_at_once(self) -> None:
        self.timers.call_at(1, lambda: self._at(1, "later"))
        self.timers.run_due(1)
        assert self.ran == ["later"]

    def test_too_many_at_once_leave_the_loop_a_turn_in_between(self) -> None:
        for number in range(250):
            self._at(1, f"{number}")
            self._at(1, "cancelled").cancel()
        turns = 1
        while self.timers.run_due(1):
            assert self.armed[-1] <= 1
            turns += 1
        assert turns == 3
        assert sorted(self.ran, key=int) == [f"{number}" for number in range(250)]

    def test_cancelled_ones_do_not_pile_up(self) -> None:
        for _ in range(5_000):
            self.timers.call_at(100, lambda: None).cancel()
        self._at(100, "kept")
        assert len(self.timers._heap) < 2_000
        assert len(self.timers) == 1
        self.timers.run_due(100)
        assert self.ran == ["kept"]

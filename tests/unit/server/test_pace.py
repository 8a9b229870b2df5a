import pytest

from bayeux_server.server.pace import Pace


class _Time:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


class TestPace:
    def setup_method(self) -> None:
        self.time = _Time()
        self.pace = Pace(0.010, lambda: self.time.now_s, self.time.sleep)

    def test_after_a_pause_nothing_waits(self) -> None:
        self.pace.rest()
        self.time.now_s += 0.010
        self.pace.rest()
        assert self.time.slept_s == []

    def test_of_turns_that_follow_closely_each_takes_its_least_time(self) -> None:
        self.pace.rest()
        for work_s in (0.004, 0.001):
            self.time.now_s += work_s
            self.pace.rest()
        assert self.time.slept_s == pytest.approx([0.006, 0.009])

    def test_a_turn_that_took_longer_is_not_prolonged(self) -> None:
        self.pace.rest()
        self.time.now_s += 0.002
        self.pace.rest()
        self.time.now_s += 0.011
        self.pace.rest()
        assert self.time.slept_s == pytest.approx([0.008])

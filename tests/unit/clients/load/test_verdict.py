from clients.load.report import HarnessUse
from clients.load.verdict import objections, remarks

IDLE = HarnessUse(cpu_s=0.1, busiest_share=0.3, cpu_us_per_work=2.0, lag_p99_ms=0.5)


def reasons(harness: HarnessUse = IDLE, sent: int = 100, opened: int = 10) -> list[str]:
    return list(objections(harness, sent=sent, planned=100, opened=opened, wanted=10))


class TestVerdict:
    def test_a_harness_with_time_to_spare_has_no_objections(self) -> None:
        assert reasons() == []

    def test_a_busy_harness_was_the_bottleneck(self) -> None:
        assert "bottleneck" in reasons(HarnessUse(1.0, 0.9, 2.0, 0.5))[0]

    def test_a_harness_that_sent_late_made_the_latencies_itself(self) -> None:
        assert "sent late" in reasons(HarnessUse(1.0, 0.3, 2.0, 40.0))[0]

    def test_fewer_publishes_than_were_due_are_another_load(self) -> None:
        assert "98 of 100" in reasons(sent=98)[0]

    def test_fewer_sessions_than_asked_are_another_load(self) -> None:
        assert "9 of 10" in reasons(opened=9)[0]

    def test_a_harness_dearer_than_the_server_is_worth_a_note(self) -> None:
        assert list(remarks(IDLE, server_cpu_us=5.0)) == []
        assert "more CPU" in next(remarks(IDLE, server_cpu_us=1.0))

    def test_a_machine_with_other_work_is_worth_a_note(self) -> None:
        assert "other processes" in next(remarks(HarnessUse(0.1, 0.3, 2.0, 0.5, other_cores=0.4), None))

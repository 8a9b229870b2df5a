"""A partition's account."""

from hypothesis import given
from hypothesis import strategies as st

from extensions.careflow.flow import Flow, Water

WATER = Water(high_records=4, low_records=1, high_bytes=100)


class TestFlow:
    def test_it_pauses_at_the_high_water_mark_and_resumes_at_the_low_one(self) -> None:
        flow = Flow(1, WATER)
        flow.took(4, 4)
        assert flow.must_pause
        for offset in range(2):
            flow.delivered(offset, 1)
            assert not flow.may_resume
        flow.delivered(2, 1)
        assert flow.may_resume

    def test_a_few_large_records_pause_it_too(self) -> None:
        flow = Flow(1, WATER)
        flow.took(1, 100)
        assert flow.must_pause
        assert not flow.may_resume

    def test_there_is_nothing_to_commit_before_a_delivery(self) -> None:
        flow = Flow(1, WATER)
        flow.took(2, 2)
        assert flow.to_commit() is None
        assert flow.next_offset is None

    def test_the_offset_after_the_last_delivery_is_committed_once(self) -> None:
        flow = Flow(1, WATER)
        flow.took(2, 2)
        flow.delivered(7, 1)
        assert flow.to_commit() == 8
        flow.committed(8)
        assert flow.to_commit() is None

    def test_a_late_answer_does_not_take_the_position_back(self) -> None:
        flow = Flow(1, WATER)
        flow.took(3, 3)
        flow.delivered(0, 1)
        flow.delivered(1, 1)
        flow.committed(2)
        flow.committed(1)
        assert flow.to_commit() is None

    @given(st.lists(st.integers(1, 50), max_size=40))
    def test_what_was_taken_and_delivered_leaves_nothing_waiting(self, sizes: list[int]) -> None:
        flow = Flow(1, WATER)
        flow.took(len(sizes), sum(sizes))
        for offset, size in enumerate(sizes):
            flow.delivered(offset, size)
        assert flow.waiting_records == 0
        assert flow.to_commit() == (len(sizes) or None)
        assert not flow.must_pause

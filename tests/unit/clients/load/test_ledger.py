import random

from clients.load.ledger import MAX_GAP, UNKNOWN_BASE, Count, Ledger

STREAM = 7


def ledger_after(*sequences: int) -> Ledger:
    ledger = Ledger({STREAM: 0})
    for sequence in sequences:
        ledger.accept(STREAM, sequence)
    return ledger


class TestLedger:
    def test_everything_in_order_is_neither_lost_nor_doubled(self) -> None:
        assert ledger_after(0, 1, 2).settle({STREAM: 3}) == Count(expected=3, received=3)

    def test_a_gap_that_is_never_filled_is_lost(self) -> None:
        assert ledger_after(0, 3).settle({STREAM: 4}) == Count(expected=4, received=2, lost=2)

    def test_what_never_came_at_the_end_is_lost(self) -> None:
        assert ledger_after(0).settle({STREAM: 3}) == Count(expected=3, received=1, lost=2)

    def test_a_message_that_comes_again_is_doubled(self) -> None:
        assert ledger_after(0, 1, 1, 0).settle({STREAM: 2}) == Count(expected=2, received=2, duplicated=2)

    def test_a_message_that_fills_a_gap_is_out_of_order_and_not_lost(self) -> None:
        assert ledger_after(0, 2, 1, 3).settle({STREAM: 4}) == Count(expected=4, received=4, out_of_order=1)

    def test_a_gap_filled_twice_is_out_of_order_once_and_doubled_once(self) -> None:
        count = ledger_after(1, 0, 0).settle({STREAM: 2})

        assert (count.out_of_order, count.duplicated) == (1, 1)

    def test_a_stream_that_was_not_subscribed_to_is_misdelivered(self) -> None:
        ledger = ledger_after(0)
        ledger.accept(STREAM + 1, 0)

        assert ledger.settle({STREAM: 1, STREAM + 1: 1}) == Count(expected=1, received=1, misdelivered=1)

    def test_a_jump_that_cannot_be_a_gap_is_remembered_nowhere(self) -> None:
        assert ledger_after(MAX_GAP + 1).settle({STREAM: 0}).misdelivered == 1

    def test_a_stream_with_unknown_base_begins_with_its_first_message(self) -> None:
        ledger = Ledger({STREAM: UNKNOWN_BASE})
        ledger.accept(STREAM, 40)
        ledger.accept(STREAM, 42)

        ledger.forget(STREAM)

        assert ledger.settle({STREAM: 60}) == Count(expected=3, received=2, lost=1)

    def test_a_stream_with_unknown_base_is_followed_to_its_end(self) -> None:
        ledger = Ledger({STREAM: UNKNOWN_BASE})
        ledger.accept(STREAM, 40)

        assert ledger.settle({STREAM: 43}) == Count(expected=3, received=1, lost=2)

    def test_a_stream_that_brought_nothing_is_not_missed_when_forgotten(self) -> None:
        ledger = Ledger({STREAM: UNKNOWN_BASE})
        ledger.forget(STREAM)

        assert ledger.settle({STREAM: 43}) == Count()

    def test_what_arrives_after_its_run_was_settled_is_counted_nowhere(self) -> None:
        ledger = ledger_after(0)
        assert ledger.settle({STREAM: 2}).lost == 1

        ledger.accept(STREAM, 1)
        ledger.accept(STREAM, 2)

        assert ledger.settle({STREAM: 3}) == Count(expected=1, received=1)

    def test_it_is_complete_only_when_nothing_is_missing(self) -> None:
        ledger = ledger_after(0, 2)
        assert not ledger.is_complete({STREAM: 3})
        ledger.accept(STREAM, 1)
        assert ledger.is_complete({STREAM: 3})
        assert not ledger.is_complete({STREAM: 4})

    def test_any_order_of_all_messages_loses_and_doubles_none(self) -> None:
        sequences = list(range(200))
        random.Random(3).shuffle(sequences)

        count = ledger_after(*sequences).settle({STREAM: 200})

        assert (count.lost, count.duplicated, count.received) == (0, 0, 200)

    def test_counts_of_several_subscribers_add_up(self) -> None:
        total = Count()
        total.add(Count(5, 4, 1, 2, 3, 4))
        total.add(Count(5, 4, 1, 2, 3, 4))

        assert total == Count(10, 8, 2, 4, 6, 8)

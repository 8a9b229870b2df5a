import pytest

from clients.load.latency import CELL_US, histogram, percentiles_ms, quick_percentiles_ms


class TestLatency:
    def test_percentiles_come_from_all_rows_together(self) -> None:
        fast, slow = 1_000 // CELL_US, 100_000 // CELL_US

        figures = percentiles_ms(histogram([{fast: 98}, {slow: 2}]))

        assert figures["p50"] == pytest.approx(1.0, rel=0.01)
        assert figures["p99"] == pytest.approx(100.0, rel=0.01)
        assert figures["max"] == pytest.approx(100.0, rel=0.01)

    def test_no_deliveries_have_no_latency(self) -> None:
        assert set(percentiles_ms(histogram([])).values()) == {0.0}

    def test_a_clock_that_went_back_and_an_hour_are_both_counted(self) -> None:
        assert histogram([{-1: 1, 10**12: 1}]).get_total_count() == 2

    def test_live_figures_need_no_histogram(self) -> None:
        row = {1: 50, 125: 49, 1_250: 1}

        assert quick_percentiles_ms(row, (0.5, 0.99, 1.0)) == [0.008, 1.0, 10.0]

    def test_live_figures_of_nothing_are_zero(self) -> None:
        assert quick_percentiles_ms({}, (0.5, 0.99)) == [0.0, 0.0]

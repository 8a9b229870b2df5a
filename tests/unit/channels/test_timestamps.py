"""Moments on the wire."""

import pytest

from channels.timestamps import iso_utc_ms, normal_iso


class TestTimestamps:
    def test_are_utc_with_milliseconds(self) -> None:
        assert iso_utc_ms(1_763_028_000.0) == "2025-11-13T10:00:00.000Z"
        assert iso_utc_ms(1_763_028_000.0625) == "2025-11-13T10:00:00.062Z"

    @pytest.mark.parametrize(
        "foreign", ["2025-11-13T10:00:00Z", "2025-11-13T11:00:00+01:00", "2025-11-13T10:00:00.000400Z"]
    )
    def test_of_others_are_written_our_way(self, foreign: str) -> None:
        assert normal_iso(foreign) == "2025-11-13T10:00:00.000Z"

    def test_that_are_no_moment_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="day"):
            normal_iso("2025-02-31T10:00:00Z")

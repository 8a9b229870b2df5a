"""Which events are new, and where to go on."""

from clients.python.positions import Positions


def taken(positions: Positions, *ids: int, channel: str = "/a") -> list[int]:
    """Return the ids that count as new."""
    return [event_id for event_id in ids if positions.is_new(channel, event_id)]


class TestLive:
    def test_what_is_told_again_is_not_new(self) -> None:
        positions = Positions(wants_past=False)
        assert taken(positions, 5, 6, 6, 5, 7) == [5, 6, 7]

    def test_ids_may_jump(self) -> None:
        assert taken(Positions(wants_past=False), 5, 9, 7) == [5, 9]

    def test_channels_are_counted_apart(self) -> None:
        positions = Positions(wants_past=False)
        assert taken(positions, 5) == taken(positions, 5, channel="/b") == [5]
        assert positions.resume() == {"/a": 5, "/b": 5}


class TestPast:
    def test_it_may_come_after_something_live(self) -> None:
        positions = Positions(wants_past=True)
        assert taken(positions, 8, 9, 1, 2, 8, 9, 10) == [8, 9, 1, 2, 10]
        assert positions.resume() == {"/a": 10}

    def test_one_that_was_cut_short_goes_on_where_it_was(self) -> None:
        positions = Positions(wants_past=True)
        assert taken(positions, 8, 9, 1, 2) == [8, 9, 1, 2]
        assert positions.resume() == {"/a": 2}
        assert taken(positions, 2, 3, 8, 9, 10) == [3, 10]

    def test_it_is_told_once(self) -> None:
        positions = Positions(wants_past=True)
        assert taken(positions, 8, 1, 8, 1, 9) == [8, 1, 9]


class TestBound:
    def test_the_channel_longest_silent_is_forgotten(self) -> None:
        positions = Positions(wants_past=False, max_channels=2)
        for channel in ("/a", "/b", "/a", "/c"):
            positions.is_new(channel, 5 if channel != "/a" else 6)
        assert positions.resume() == {"/a": 6, "/c": 5}

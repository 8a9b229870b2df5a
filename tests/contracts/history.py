"""What every :class:`bayeux_server.ports.History` must do."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from bayeux_server.ports import MAX_STEP, History
from bayeux_server.protocol.channel_id import ChannelGrammar, ChannelId

MAX_MESSAGES = 5
#: Ids are read by JavaScript: a number beyond this would be rounded there.
MAX_SAFE_INTEGER = 2**53 - 1

_GRAMMAR = ChannelGrammar()
A = _GRAMMAR.parse("/a")
B = _GRAMMAR.parse("/b")


def now_us() -> int:
    """The wall clock as ids tell it."""
    return int(time.time() * 1_000_000)


async def keep(history: History, channel: ChannelId, data: bytes) -> int:
    """Append, and return the id."""
    return (await history.append(channel, data)).id


class HistoryContract:
    """Subclasses give a fixture ``new_history``: a function that returns a history of MAX_MESSAGES a channel."""

    @pytest.fixture
    async def history(self, new_history: Callable[[], History]) -> AsyncIterator[History]:
        history = new_history()
        await history.start()
        yield history
        await history.stop()

    async def test_ids_rise_within_a_channel(self, history: History) -> None:
        first_id = await keep(history, A, b"1")
        await history.append(B, b'"other"')
        second_id, third_id = await keep(history, A, b"2"), await keep(history, A, b"3")
        assert first_id < second_id < third_id
        assert await history.last_id(A) == third_id

    async def test_an_id_is_when_it_was_given_and_counts_nothing(self, history: History) -> None:
        await keep(history, A, b"1")
        from_us = now_us()
        event_id = await keep(history, A, b"2")
        assert from_us <= event_id <= now_us() + MAX_STEP

    async def test_each_place_says_which_id_is_right_before_it(self, history: History) -> None:
        places = [await history.append(A, b"%d" % number) for number in range(8)]
        await history.append(B, b'"other"')
        assert [place.previous_id for place in places] == [0, *(place.id for place in places[:-1])]

    async def test_ids_fit_javascript(self, history: History) -> None:
        assert 0 < await keep(history, A, b"1") < MAX_SAFE_INTEGER // 2

    async def test_appends_at_the_same_time_get_places_of_their_own_in_order(self, history: History) -> None:
        places = await asyncio.gather(*(history.append(A, b"%d" % number) for number in range(50)))
        ids = [place.id for place in places]
        assert ids == sorted(set(ids))
        assert [place.previous_id for place in places] == [0, *ids[:-1]]
        assert (await history.after(A, ids[44], 10)).complete

    async def test_zero_gives_all_that_is_kept_and_is_never_a_gap(self, history: History) -> None:
        for number in range(8):
            await history.append(A, b"%d" % number)
        page = await history.after(A, 0, 100)
        assert [entry.data for entry in page.entries] == [b"3", b"4", b"5", b"6", b"7"]
        assert page.complete

    async def test_what_follows_a_position_comes_in_order_page_by_page(self, history: History) -> None:
        ids = [await keep(history, A, b"%d" % number) for number in range(5)]
        page = await history.after(A, ids[0], 2)
        assert [(entry.id, entry.data) for entry in page.entries] == [(ids[1], b"1"), (ids[2], b"2")]
        assert page.complete
        page = await history.after(A, ids[2], 2)
        assert [entry.id for entry in page.entries] == ids[3:]
        assert page.complete

    async def test_data_is_kept_byte_for_byte(self, history: History) -> None:
        data = b'{"x":1.0, "y" : "\\ud83d\\ude00\xc3\xa9"}'
        await history.append(A, data)
        page = await history.after(A, 0, 1)
        assert page.entries[0].data == data

    async def test_nothing_follows_the_last_one(self, history: History) -> None:
        last_id = await keep(history, A, b"1")
        page = await history.after(A, last_id, 10)
        assert (list(page.entries), page.complete) == ([], True)

    async def test_the_oldest_position_that_is_no_gap_is_right_before_what_is_kept(self, history: History) -> None:
        ids = [await keep(history, A, b"%d" % number) for number in range(7)]
        assert (await history.after(A, ids[1], 10)).complete
        page = await history.after(A, ids[0], 10)
        assert not page.complete
        assert [entry.id for entry in page.entries] == ids[2:]

    async def test_a_position_between_two_that_was_never_given_is_a_gap(self, history: History) -> None:
        """And so is one above the last: else it could be found out by asking when something hidden was published."""
        first_id = await keep(history, A, b"1")
        while (last_id := await keep(history, A, b"2")) == first_id + 1:
            first_id = last_id
        for unknown in (first_id + 1, last_id - 1):
            page = await history.after(A, unknown, 10)
            assert ([entry.id for entry in page.entries], page.complete) == ([last_id], False)

    async def test_a_position_above_the_last_is_a_gap(self, history: History) -> None:
        last_id = await keep(history, A, b"1")
        page = await history.after(A, last_id + 1, 10)
        assert (list(page.entries), page.complete) == ([], False)

    async def test_a_channel_nobody_used_has_nothing(self, history: History) -> None:
        assert await history.last_id(A) == 0
        page = await history.after(A, 0, 10)
        assert (list(page.entries), page.complete) == ([], True)

    async def test_a_position_on_a_channel_nobody_used_is_a_gap(self, history: History) -> None:
        assert not (await history.after(A, 5, 10)).complete

    async def test_channels_are_found_by_pattern_in_order(self, history: History) -> None:
        for name in ("/a/2", "/a/1", "/a/1/deep", "/ab/1", "/b"):
            await history.append(_GRAMMAR.parse(name), b"1")
        assert list(await history.channels(_GRAMMAR.parse("/a/*"), 10)) == ["/a/1", "/a/2"]
        assert list(await history.channels(_GRAMMAR.parse("/a/**"), 10)) == ["/a/1", "/a/1/deep", "/a/2"]
        assert len(await history.channels(_GRAMMAR.parse("/**"), 10)) == 5
        assert list(await history.channels(_GRAMMAR.parse("/*"), 10)) == ["/b"]
        assert list(await history.channels(_GRAMMAR.parse("/a/**"), 2)) == ["/a/1", "/a/1/deep"]
        assert list(await history.channels(_GRAMMAR.parse("/c/**"), 10)) == []

    async def test_a_history_that_begins_anew_gives_higher_ids_than_before(
        self, new_history: Callable[[], History]
    ) -> None:
        """Else the position of a client from before would be taken for one of now, and hide what it missed."""
        first, second = new_history(), new_history()
        await first.start()
        before_id = await keep(first, A, b"1")
        await first.stop()
        await second.start()
        assert await keep(second, A, b"2") > before_id
        await second.stop()

    async def test_it_is_ready_once_started(self, history: History) -> None:
        assert history.unready() is None

"""What a reader is shown of positions does not tell how many events were hidden from him in between."""

import asyncio
from collections.abc import Collection, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from bayeux_server.backends.memory.history import MemoryHistory
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View
from bayeux_server.server.session import ServerSession
from tests.support.bench import Message, open_bench
from tests.support.examples import examples

ALL_KEPT = -2
SOME_TIME_US = 1_800_000_000_000_000
#: Microseconds since the event before, two at least because a float of seconds is no finer; and whether it is hidden.
EVENTS = st.lists(st.tuples(st.integers(2, 5_000_000), st.booleans()), max_size=25)


class HidesZero:
    """Shows everybody everything but zeros."""

    def views(self, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
        return [] if publication.data == b"0" else [(publication, audience)]


async def _shown(events: list[tuple[int, bool]], *, publish_hidden: bool) -> list[list[Message]]:
    """Return what is shown to who was there, to who comes afterwards, and to who comes back after the first event."""
    now_us = SOME_TIME_US
    async with open_bench({"extensions": {"replay": {}}}) as bench:
        assert isinstance(bench.app.history, MemoryHistory)
        bench.app.history._wall = lambda: now_us / 1_000_000
        bench.server.set_view_policy("/a", HidesZero())
        live, late, back = [await bench.client() for _ in range(3)]
        await live.subscribe("/a")
        for after_us, is_hidden in events:
            now_us += after_us
            if publish_hidden or not is_hidden:
                await bench.server.publish("/a", 0 if is_hidden else 1)
        seen = await live.events()
        first_id = seen[0]["ext"]["replay"]["id"] if seen else ALL_KEPT
        replies = [
            await client.subscribe("/a", ext={"replay": {"/a": last_id}})
            for client, last_id in ((late, ALL_KEPT), (back, first_id))
        ]
        await bench.settle()
        return [seen, await late.events(), await back.events(), [reply["ext"] for reply in replies]]


@settings(max_examples=examples(60))
@given(EVENTS)
def test_what_is_shown_is_the_same_whether_or_not_anything_was_hidden(events: list[tuple[int, bool]]) -> None:
    assert asyncio.run(_shown(events, publish_hidden=True)) == asyncio.run(_shown(events, publish_hidden=False))

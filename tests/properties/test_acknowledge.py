"""Acknowledging loses nothing, and sends nothing again that was confirmed, wherever connections are cut.

A model of a stock client: it sends the number of the last reply it got with each connect. It may give up a connect at
any moment and begin another; any answer may be lost, noticed by the server at once, later or never; and something on
the way may send an old request once more.
"""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bench import Bench, BenchClient, Exchange, open_bench
from tests.support.examples import examples

STEPS = st.lists(
    st.sampled_from(
        ("publish", "publish", "connect", "connect", "receive", "receive", "lose", "cut", "notice", "repeat")
    ),
    min_size=5,
    max_size=60,
)


class Client:
    """What a client does and knows.

    Attributes:
        received: The events it got, each as often as it came.
    """

    def __init__(self, client: BenchClient) -> None:
        self._client = client
        self.received: list[int] = []
        self._last_number = 0
        self._numbers_sent = [0]
        #: Connects under way, each with the events that it confirms.
        self._under_way: list[tuple[Exchange, frozenset[int]]] = []
        #: Connects nobody waits for any more, though the server may think so.
        self._given_up: list[Exchange] = []

    async def connect(self) -> None:
        """Send a connect."""
        confirmed = frozenset(self.received)
        self._numbers_sent.append(self._last_number)
        self._under_way.append((await self._client.connect(ext={"ack": self._last_number}), confirmed))

    async def repeat(self) -> None:
        """Have an old connect come once more."""
        old = self._numbers_sent[len(self._numbers_sent) // 2]
        self._given_up.append(await self._client.connect(ext={"ack": old}))

    def receive(self) -> None:
        """Get the oldest answer, if one has come."""
        if not self._under_way or self._under_way[0][0].array is None:
            return
        exchange, confirmed = self._under_way.pop(0)
        events = [event["data"] for event in exchange.events]
        assert confirmed.isdisjoint(events), "confirmed, and sent again"
        assert events == sorted(set(events)), "out of order, or twice in one answer"
        self.received += events
        self._last_number = max(self._last_number, exchange.reply["ext"]["ack"])

    def lose(self) -> None:
        """Lose the oldest connect or its answer without the server noticing."""
        if self._under_way:
            self._given_up.append(self._under_way.pop(0)[0])

    def cut(self) -> None:
        """Lose it so that the server notices."""
        if self._under_way:
            self._under_way.pop(0)[0].cut()

    def notice(self) -> None:
        """Have the server notice something that was lost long ago."""
        if self._given_up:
            self._given_up.pop(0).cut()

    async def come_back(self) -> None:
        """Connect over a network that works, until nothing more comes."""
        while self._under_way:
            self.cut()
        for _ in range(3):
            exchange = await self._client.connect(ext={"ack": self._last_number}, advice={"timeout": 0})
            self._under_way.append((exchange, frozenset(self.received)))
            self.receive()


async def _run(steps: list[str]) -> None:
    async with open_bench({"extensions": {"acknowledge": {}}}) as bench:
        client = await _begin(bench)
        published = 0
        for step in steps:
            if step == "publish":
                await bench.server.publish("/a", published)
                published += 1
            elif step in ("connect", "repeat"):
                await getattr(client, step)()
            else:
                getattr(client, step)()
            await bench.settle()
        await client.come_back()
    assert list(dict.fromkeys(client.received)) == list(range(published))


async def _begin(bench: Bench) -> Client:
    client = await bench.client(ext={"ack": True})
    await client.subscribe("/a")
    return Client(client)


class TestAcknowledge:
    @settings(max_examples=examples(300), deadline=None)
    @given(steps=STEPS)
    def test_nothing_is_lost_and_nothing_confirmed_comes_again(self, steps: list[str]) -> None:
        asyncio.run(_run(steps))

"""What every :class:`bayeux_server.ports.Broker` must do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from bayeux_server.errors import LocalError
from bayeux_server.ports import Broker
from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import Publication

PATIENCE_S = 20.0
_GRAMMAR = ChannelGrammar()


def publication(channel: str = "/a/b", data: bytes = b"1", *, lazy: bool = False) -> Publication:
    """Return a publication."""
    return Publication(_GRAMMAR.parse(channel), data, lazy=lazy)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what an adapter notices by itself, such as that a server is gone."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - another process gives no event
            await asyncio.sleep(0.01)


async def publish(broker: Broker, publication: Publication) -> None:
    """Publish, and wait where the adapter wants it."""
    carried = broker.publish(publication)
    if carried is not None:
        await carried


class Node:
    """A broker and what it brought."""

    def __init__(self, broker: Broker, *, fails_on: bytes | None = None) -> None:
        self.broker = broker
        self._fails_on = fails_on
        self.received: list[Publication] = []
        self._arrived = asyncio.Event()

    async def start(self) -> None:
        await self.broker.start(self._on_publication)

    def _on_publication(self, publication: Publication) -> None:
        if publication.data == self._fails_on:
            raise ValueError("as a listener may")
        self.received.append(publication)
        self._arrived.set()

    async def wait_for(self, messages: int) -> list[bytes]:
        """Return the data of all that came, once it is so many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.received) < messages:
                self._arrived.clear()
                await self._arrived.wait()
        return [each.data for each in self.received]


class BrokerContract:
    """Subclasses give a fixture ``new_broker``: a function that returns a broker, each time for another node."""

    @pytest.fixture
    async def node(self, new_broker: Callable[[], Broker]) -> AsyncIterator[Node]:
        node = Node(new_broker())
        await node.start()
        yield node
        await node.broker.stop()

    async def test_a_publication_comes_back_to_its_own_node_whole(self, node: Node) -> None:
        ext = {"replay": {"id": 2**53 - 1}, "text": "é"}
        sent = Publication(_GRAMMAR.parse("/a/b c"), b'{"x":1.0,"y":"\\u00e9"}', ext, lazy=True)
        await publish(node.broker, sent)
        await node.wait_for(1)
        assert node.received == [sent]

    async def test_data_is_carried_byte_for_byte(self, node: Node) -> None:
        data = [b"1e2", b'"\xc3\xa9\\ud83d\\ude00"', b"12345678901234567890", b"null", b'{ "a" : [ ] }']
        for each in data:
            await publish(node.broker, publication(data=each))
        assert await node.wait_for(len(data)) == data

    async def test_the_order_of_one_publisher_is_kept(self, node: Node) -> None:
        data = [b"%d" % number for number in range(1_200)]
        await asyncio.gather(*(publish(node.broker, publication(data=each)) for each in data))
        assert await node.wait_for(len(data)) == data

    async def test_what_was_published_before_the_start_does_not_come(self, new_broker: Callable[[], Broker]) -> None:
        earlier = Node(new_broker())
        await earlier.start()
        await publish(earlier.broker, publication(data=b'"early"'))
        await earlier.wait_for(1)
        await earlier.broker.stop()
        later = Node(new_broker())
        await later.start()
        await publish(later.broker, publication(data=b'"late"'))
        assert await later.wait_for(1) == [b'"late"']
        await later.broker.stop()

    async def test_a_listener_that_raises_misses_nothing_that_follows(self, new_broker: Callable[[], Broker]) -> None:
        node = Node(new_broker(), fails_on=b"1")
        await node.start()
        for data in (b"1", b"2"):
            with suppress(ValueError):  # it may reach the publisher, where there is but one node
                await publish(node.broker, publication(data=data))
        assert await node.wait_for(1) == [b"2"]
        await node.broker.stop()

    async def test_it_is_ready_from_start_to_stop(self, new_broker: Callable[[], Broker]) -> None:
        broker = new_broker()
        assert broker.unready() is not None
        await broker.start(lambda _: None)
        assert broker.unready() is None
        await broker.stop()
        assert broker.unready() is not None

    async def test_nothing_can_be_published_before_the_start_or_after_the_stop(
        self, new_broker: Callable[[], Broker]
    ) -> None:
        broker = new_broker()
        with pytest.raises(LocalError):
            await publish(broker, publication())
        await broker.start(lambda _: None)
        await broker.stop()
        with pytest.raises(LocalError):
            await publish(broker, publication())

    async def test_it_can_be_stopped_though_it_never_started(self, new_broker: Callable[[], Broker]) -> None:
        await new_broker().stop()

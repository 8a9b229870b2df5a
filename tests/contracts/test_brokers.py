"""Brokers under their contract, and the Redis one through outages of a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis import Redis as RedisClient
from structlog.testing import capture_logs

from bayeux_server.backends.memory.broker import MemoryBroker
from bayeux_server.backends.redis import RedisBroker
from bayeux_server.backends.redis import broker as redis_broker
from bayeux_server.ports import Broker
from tests.contracts.broker import BrokerContract, Node, publication, publish, until
from tests.support.services.redis import Redis

PREFIX = "test:"


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def new_broker(self) -> Callable[[], Broker]:
        return MemoryBroker


class TestRedisBroker(BrokerContract):
    @pytest.fixture
    def new_broker(self, redis_url: str) -> Callable[[], Broker]:
        return lambda: RedisBroker(redis_url, PREFIX)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the reader look around often."""
    monkeypatch.setattr(redis_broker, "BLOCK_MS", 50)
    monkeypatch.setattr(redis_broker, "READ_TIMEOUT_S", 1.0)
    monkeypatch.setattr(redis_broker, "MAX_BACKOFF_S", 0.1)


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with Redis(append_only=True) as server:
        yield server


@pytest.fixture
async def node(own_redis: Redis, quick: None) -> AsyncIterator[Node]:
    node = Node(RedisBroker(own_redis.url, PREFIX))
    await node.start()
    yield node
    await node.broker.stop()


def client(server: Redis) -> "RedisClient":
    return RedisClient.from_url(server.url)


def raw_publish(server: Redis, data: bytes, number: int) -> None:
    """Add what another node adds, with a number of its own."""
    with client(server) as redis:
        body = redis_broker._pack(publication(data=data))
        redis.xadd("{test:broker}:stream", {"n": number, "b": body})
        redis.set("{test:broker}:number", number)


class TestBetweenNodes:
    async def test_every_node_gets_the_publications_of_all_in_one_order(self, redis_url: str) -> None:
        nodes = [Node(RedisBroker(redis_url, PREFIX)) for _ in range(3)]
        for node in nodes:
            await node.start()
        await asyncio.gather(
            *(
                publish(node.broker, publication(data=b"%d" % (100 * which + number)))
                for number in range(50)
                for which, node in enumerate(nodes)
            )
        )
        first, second, third = [await node.wait_for(150) for node in nodes]
        assert first == second == third
        for node in nodes:
            await node.broker.stop()

    async def test_prefixes_keep_clusters_apart(self, redis_url: str) -> None:
        here, there = Node(RedisBroker(redis_url, "here:")), Node(RedisBroker(redis_url, "there:"))
        await here.start()
        await there.start()
        await publish(here.broker, publication(data=b"1"))
        await publish(there.broker, publication(data=b"2"))
        assert (await here.wait_for(1), await there.wait_for(1)) == ([b"1"], [b"2"])
        await here.broker.stop()
        await there.broker.stop()


class TestOutage:
    async def test_it_cannot_start_without_redis(self) -> None:
        with Redis() as server:
            url = server.url
        broker = RedisBroker(url, PREFIX)
        with pytest.raises(OSError, match="ConnectionError"):
            await broker.start(lambda _: None)
        assert broker.unready() == "not started"

    async def test_while_redis_is_down_it_says_so_and_publishing_fails(self, own_redis: Redis, node: Node) -> None:
        own_redis.kill()
        await until(lambda: node.broker.unready() is not None)
        with pytest.raises(OSError, match="ConnectionError"):
            await publish(node.broker, publication())
        own_redis.start()
        await until(lambda: node.broker.unready() is None)
        await publish(node.broker, publication(data=b'"again"'))
        assert await node.wait_for(1) == [b'"again"']

    async def test_what_others_published_while_it_was_cut_off_comes_when_it_is_back(
        self, own_redis: Redis, node: Node
    ) -> None:
        await publish(node.broker, publication(data=b"1"))
        await node.wait_for(1)
        with capture_logs() as logs:
            own_redis.restart()
            raw_publish(own_redis, b"2", 2)
            raw_publish(own_redis, b"3", 3)
            assert await node.wait_for(3) == [b"1", b"2", b"3"]
            await until(lambda: any(entry["event"] == "broker.recovered" for entry in logs))
        recovered = [entry["recovered"] for entry in logs if entry["event"] == "broker.recovered"]
        assert set(recovered) == {True}

    async def test_publications_go_on_through_a_restart_in_the_middle_of_them(
        self, own_redis: Redis, node: Node
    ) -> None:
        sent = []
        for number in range(300):
            if number == 150:
                own_redis.restart()
            try:
                await publish(node.broker, publication(data=b"%d" % number))
            except OSError:
                continue
            sent.append(b"%d" % number)
        assert len(sent) >= 299
        received = await node.wait_for(len(sent))
        assert [data for data in received if data in set(sent)] == sent
        assert len(received) == len(set(received))

    async def test_a_redis_that_hangs_is_noticed(self, own_redis: Redis, node: Node) -> None:
        own_redis.suspend()
        await until(lambda: node.broker.unready() is not None)
        own_redis.resume()
        await until(lambda: node.broker.unready() is None)


class TestLoss:
    """What Redis itself lost is announced: nobody may believe he has it all."""

    @pytest.fixture
    def gaps(self, node: Node) -> list[int | None]:
        assert isinstance(node.broker, RedisBroker)
        gaps: list[int | None] = []
        node.broker.on_gap.append(gaps.append)
        return gaps

    async def test_publications_trimmed_away_while_it_was_cut_off(
        self, own_redis: Redis, node: Node, gaps: list[int | None]
    ) -> None:
        await publish(node.broker, publication(data=b"1"))
        await node.wait_for(1)
        raw_publish(own_redis, b"5", 5)
        assert await node.wait_for(2) == [b"1", b"5"]
        assert gaps == [3]

    async def test_a_redis_that_came_back_empty(self, own_redis: Redis, node: Node, gaps: list[int | None]) -> None:
        await publish(node.broker, publication(data=b"1"))
        await node.wait_for(1)
        with client(own_redis) as redis:
            redis.flushall()
        await until(lambda: bool(gaps))
        await publish(node.broker, publication(data=b"2"))
        assert await node.wait_for(2) == [b"1", b"2"]
        assert gaps == [None]

    async def test_a_redis_that_lost_its_latest(self, own_redis: Redis, node: Node, gaps: list[int | None]) -> None:
        for number in (1, 2, 3):
            await publish(node.broker, publication(data=b"%d" % number))
        await node.wait_for(3)
        with client(own_redis) as redis:
            newest = redis.xrevrange("{test:broker}:stream", count=1)
            redis.xdel("{test:broker}:stream", newest[0][0])
            redis.set("{test:broker}:number", 2)
        await until(lambda: bool(gaps))
        await publish(node.broker, publication(data=b"4"))
        assert await node.wait_for(4) == [b"1", b"2", b"3", b"4"]

    async def test_an_entry_nobody_can_read_stops_nothing(
        self, own_redis: Redis, node: Node, gaps: list[int | None]
    ) -> None:
        with client(own_redis) as redis:
            redis.xadd("{test:broker}:stream", {"n": 1, "b": b"\xc1"})
        raw_publish(own_redis, b"2", 2)
        assert await node.wait_for(1) == [b"2"]
        assert gaps == []


class TestCost:
    async def test_publications_of_one_turn_share_a_round_trip(self, redis_url: str) -> None:
        node = Node(RedisBroker(redis_url, PREFIX))
        await node.start()
        await publish(node.broker, publication())
        with RedisClient.from_url(redis_url) as redis:
            redis.config_resetstat()
            await asyncio.gather(*(publish(node.broker, publication()) for _ in range(400)))
            stats = redis.info("commandstats")
        await node.broker.stop()
        assert stats["cmdstat_evalsha"]["calls"] == 1

    async def test_the_stream_is_bounded(self, redis_url: str) -> None:
        node = Node(RedisBroker(redis_url, PREFIX, max_messages=200))
        await node.start()
        for _ in range(10):
            await asyncio.gather(*(publish(node.broker, publication()) for _ in range(200)))
        with RedisClient.from_url(redis_url) as redis:
            assert redis.xlen("{test:broker}:stream") <= 400
        await node.broker.stop()

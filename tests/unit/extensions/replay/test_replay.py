"""Replay as its clients see it, on the memory history and on Redis streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bayeux_server.ports import Page
from bayeux_server.protocol.channel_id import ChannelId
from extensions.replay.catch_up import MAX_AT_ONCE, MAX_QUEUED
from tests.support.bench import Bench, BenchClient, Message, open_bench

NEW_ONLY, ALL_KEPT = -1, -2


@pytest.fixture(params=["memory", pytest.param("redis")])
def backend(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "memory":
        return {"history_max_messages": 10}
    url = request.getfixturevalue("redis_url")
    return {"history": "redis", "broker": "redis", "redis_url": url, "history_max_messages": 10}


@asynccontextmanager
async def open_replay(backend: dict[str, Any], **section: Any) -> AsyncIterator[Bench]:
    async with open_bench({"backend": backend, "extensions": {"replay": section}}) as bench:
        yield bench


async def gather(client: BenchClient, events: int) -> list[Message]:
    """Connect until so many events have come, and see that no more do."""
    found: list[Message] = []
    while len(found) < events:
        exchange = await client.connect()
        await client.answered(exchange)
        found += exchange.events
    assert len(found) == events, found
    assert await client.events() == []
    return found


def replay_id(event: Message) -> int:
    found: int = event["ext"]["replay"]["id"]
    return found


def data(events: list[Message]) -> list[Any]:
    return [event["data"] for event in events]


async def publish(bench: Bench, channel: str, *values: Any) -> None:
    for value in values:
        await bench.server.publish(channel, value)


class TestOffer:
    async def test_every_handshake_reply_says_that_there_is_replay(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            assert (await BenchClient(bench).handshake())["ext"] == {"replay": True}


class TestLiveEvents:
    async def test_each_carries_an_id_that_rises_within_its_channel(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            client = await bench.client()
            await client.subscribe("/a")
            await publish(bench, "/a", 1, 2, 3)
            events = await gather(client, 3)
        ids = [replay_id(event) for event in events]
        assert ids[0] < ids[1] < ids[2]
        assert events[0] == {"channel": "/a", "data": 1, "ext": {"replay": {"id": ids[0]}}}

    async def test_a_channel_that_is_not_kept_has_none(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend, channels=["/kept/**"], except_channels=["/kept/not/*"]) as bench:
            client = await bench.client()
            await client.subscribe("/**")
            await publish(bench, "/a", 1)
            await publish(bench, "/kept/not/x", 2)
            await publish(bench, "/kept/x", 3)
            events = await gather(client, 3)
        assert ["ext" in event for event in events] == [False, False, True]

    async def test_salesforces_clients_find_it_in_the_payload(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            client = await bench.client()
            await client.subscribe("/**")
            await publish(bench, "/event/Order__e", {"payload": {"n": 1}})
            await publish(bench, "/topic/x", {"event": {"createdDate": "now"}})
            await publish(bench, "/other", {"event": {}})
            events = await gather(client, 3)
        order, topic, other = events
        assert order["data"] == {"payload": {"n": 1}, "event": {"replayId": replay_id(order)}}
        assert topic["data"] == {"event": {"createdDate": "now", "replayId": replay_id(topic)}}
        assert other["data"] == {"event": {}}


class TestComingBack:
    async def test_what_came_after_the_last_id_is_told(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            first = await bench.client()
            await first.subscribe("/a")
            await publish(bench, "/a", 1, 2)
            last_id = replay_id((await gather(first, 2))[-1])
            await publish(bench, "/a", 3, 4)
            live = await gather(first, 2)
            second = await bench.client()
            reply = await second.subscribe("/a", ext={"replay": {"/a": last_id}})
            assert reply["ext"] == {"replay": {"gap": []}}
            events = await gather(second, 2)
            assert data(events) == [3, 4]
            assert events == live
            await publish(bench, "/a", 5)
            assert data(await gather(second, 1)) == [5]

    async def test_minus_two_tells_all_that_is_kept(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            await publish(bench, "/a", *range(12))
            client = await bench.client()
            reply = await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
            assert reply["ext"] == {"replay": {"gap": []}}
            events = await gather(client, 10)
        assert data(events) == list(range(2, 12))
        assert not any("gap" in event["ext"]["replay"] for event in events)

    @pytest.mark.parametrize("ext", [None, {}, {"replay": {}}, {"replay": {"/a": NEW_ONLY}}, {"replay": {"/b": -2}}])
    async def test_otherwise_only_new_events_come(self, backend: dict[str, Any], ext: Any) -> None:
        async with open_replay(backend) as bench:
            await publish(bench, "/a", 1)
            client = await bench.client()
            await client.subscribe("/a", ext=ext)
            await publish(bench, "/a", 2)
            assert data(await gather(client, 1)) == [2]

    async def test_the_past_is_told_as_it_was_published(self, backend: dict[str, Any]) -> None:
        async with open_bench({"backend": backend, "extensions": {"replay": {}, "binary": {}}}) as bench:
            live, late = await bench.client(), await bench.client()
            await live.subscribe("/**")
            payload = {"data": "xA", "last": True, "meta": {}}
            await live.publish("/event/x", payload, ext={"binary": {}})
            await late.subscribe("/event/x", ext={"replay": {"/event/x": ALL_KEPT}})
            assert await gather(late, 1) == await gather(live, 1)

    async def test_more_than_a_queue_holds_is_told_as_the_client_takes_it(self, backend: dict[str, Any]) -> None:
        sections = {"backend": {**backend, "history_max_messages": 2_000}, "extensions": {"replay": {}}}
        async with open_bench({**sections, "limits": {"max_queue_messages": 300}}) as bench:
            await publish(bench, "/a", *range(1_000))
            client = await bench.client()
            await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
            assert data(await gather(client, 1_000)) == list(range(1_000))


class TestGaps:
    async def test_an_id_too_old_is_announced_and_all_that_is_kept_comes(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            live = await bench.client()
            await live.subscribe("/a")
            await publish(bench, "/a", "seen")
            seen_id = replay_id((await gather(live, 1))[0])
            await publish(bench, "/a", *range(15))
            late = await bench.client()
            reply = await late.subscribe("/a", ext={"replay": {"/a": seen_id}})
            assert reply["successful"]
            assert reply["ext"] == {"replay": {"gap": ["/a"]}}
            events = await gather(late, 10)
        assert data(events) == list(range(5, 15))
        assert [event["ext"]["replay"].get("gap") for event in events] == [True] + [None] * 9

    @pytest.mark.parametrize("unknown", [1, 2**53, 2**64])
    async def test_an_id_nobody_gave_is_a_gap_too(self, backend: dict[str, Any], unknown: int) -> None:
        async with open_replay(backend) as bench:
            await publish(bench, "/a", 1, 2)
            client = await bench.client()
            reply = await client.subscribe("/a", ext={"replay": {"/a": unknown}})
            assert reply["ext"] == {"replay": {"gap": ["/a"]}}
            events = await gather(client, 2)
        assert data(events) == [1, 2]
        assert events[0]["ext"]["replay"]["gap"] is True

    async def test_where_nothing_is_kept_the_first_live_event_says_so(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            client = await bench.client()
            reply = await client.subscribe("/a", ext={"replay": {"/a": 7}})
            assert reply["ext"] == {"replay": {"gap": ["/a"]}}
            assert await client.events() == []
            await publish(bench, "/a", 1, 2)
            events = await gather(client, 2)
        assert [event["ext"]["replay"].get("gap") for event in events] == [True, None]

    async def test_a_refused_subscription_tells_nothing_of_the_channel(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            client = await bench.client()
            reply = await client.subscribe(["/a", "/meta/x"], ext={"replay": {"/a": 7}})
            assert not reply["successful"]
            assert "ext" not in reply

    @pytest.mark.parametrize("asked", [True, [], {"/a": "5"}, {"/a": -3}, {"/a": True}, {"/a": 1.5}, {"/a": None}])
    async def test_what_is_no_position_is_refused_by_name(self, backend: dict[str, Any], asked: Any) -> None:
        async with open_replay(backend) as bench:
            reply = await (await bench.client()).subscribe("/a", ext={"replay": asked})
        assert reply["error"].startswith("402:ext.replay:")


class TestPatterns:
    async def test_all_channels_below_are_told(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            await publish(bench, "/a/1", 1, 2)
            await publish(bench, "/a/2", 3)
            await publish(bench, "/b", 4)
            client = await bench.client()
            await client.subscribe("/a/*", ext={"replay": {"/a/*": ALL_KEPT}})
            events = await gather(client, 3)
            assert sorted((event["channel"], event["data"]) for event in events) == [
                ("/a/1", 1),
                ("/a/1", 2),
                ("/a/2", 3),
            ]
            await publish(bench, "/a/3", 5)
            await publish(bench, "/a/1", 6)
            assert data(await gather(client, 2)) == [5, 6]

    async def test_channels_have_positions_of_their_own_below_it(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            live = await bench.client()
            await live.subscribe("/a/*")
            await publish(bench, "/a/1", 1)
            await publish(bench, "/a/2", 2)
            ids = {event["channel"]: replay_id(event) for event in await gather(live, 2)}
            await publish(bench, "/a/1", 3)
            await publish(bench, "/a/2", 4)
            await publish(bench, "/a/3", 5)
            late = await bench.client()
            reply = await late.subscribe("/a/*", ext={"replay": ids})
            assert reply["ext"] == {"replay": {"gap": []}}
            assert sorted(data(await gather(late, 2))) == [3, 4]
            other = await bench.client()
            await other.subscribe("/a/*", ext={"replay": {"/a/*": ALL_KEPT, "/a/1": ids["/a/1"], "/a/2": NEW_ONLY}})
            assert sorted(data(await gather(other, 2))) == [3, 5]

    async def test_an_id_of_a_pattern_belongs_to_no_channel_and_is_a_gap(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            await publish(bench, "/a/1", 1)
            client = await bench.client()
            reply = await client.subscribe("/a/*", ext={"replay": {"/a/*": 5}})
            assert reply["ext"] == {"replay": {"gap": ["/a/*"]}}
            assert data(await gather(client, 1)) == [1]

    async def test_a_channel_asked_for_twice_is_told_once(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            await publish(bench, "/a/1", 1)
            await publish(bench, "/a/2", 2)
            for names in (["/a/*", "/a/1", "/**"], ["/a/1", "/**", "/a/*"]):
                client = await bench.client()
                await client.subscribe(names, ext={"replay": dict.fromkeys(names, ALL_KEPT)})
                assert sorted(data(await gather(client, 2))) == [1, 2]


class TestBounds:
    async def test_however_many_channels_are_asked_for_few_wait_with_a_page_in_hand(
        self, backend: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [f"/a/{number}" for number in range(60)]
        async with open_replay({**backend, "history_max_messages": 20}) as bench:
            for name in names:
                await publish(bench, name, *range(20))
            history, reads = bench.app.history, 0
            read = history.after

            async def counted(channel: ChannelId, last_id: int, limit: int) -> Page:
                nonlocal reads
                reads += 1
                return await read(channel, last_id, limit)

            monkeypatch.setattr(history, "after", counted)
            client = await bench.client()
            await client.subscribe(names, ext={"replay": dict.fromkeys(names, ALL_KEPT)})
            # Each channel is read twice, the second time in vain; as many are told as fill the queue.
            assert reads <= 2 * (MAX_QUEUED // 20 + MAX_AT_ONCE)
            assert len(await gather(client, 1_200)) == 1_200


class TestEnding:
    async def test_unsubscribing_ends_the_telling(self, backend: dict[str, Any]) -> None:
        sections = {"backend": {**backend, "history_max_messages": 1_000}, "extensions": {"replay": {}}}
        async with open_bench(sections) as bench:
            await publish(bench, "/a", *range(500))
            client = await bench.client()
            await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
            await client.send("/meta/unsubscribe", subscription="/a")
            assert len(await client.events()) <= 200
            assert await client.events() == []
            await client.subscribe("/a")
            await publish(bench, "/a", "live")
            assert data(await gather(client, 1)) == ["live"]

    async def test_a_session_that_has_caught_up_is_as_cheap_as_any_other(self, backend: dict[str, Any]) -> None:
        async with open_replay(backend) as bench:
            live = await bench.client()
            await live.subscribe("/a")
            await publish(bench, "/a", 1)
            await gather(live, 1)
            bench.clock.advance(10)
            client = await bench.client()
            await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
            await gather(client, 1)
            async with asyncio.timeout(30):  # Redis is asked once more whether that was all
                while client.session.extensions:
                    assert await client.events() == []
            assert client.session.dequeue_listeners == ()

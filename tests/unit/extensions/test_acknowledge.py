"""Acknowledging by example; ``tests/properties/test_acknowledge.py`` cuts connections everywhere."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.support.bench import Bench, BenchClient, Exchange, open_bench
from tests.support.client import Client, EventSourcePeer, WebSocketPeer
from tests.support.server import local_server


@asynccontextmanager
async def acknowledged(**section: Any) -> AsyncIterator[tuple[Bench, BenchClient]]:
    """A server, and a client of it that has shaken hands, connected and subscribed to /a."""
    async with open_bench({"extensions": {"acknowledge": section}}) as bench:
        client = await bench.client(ext={"ack": True})
        await client.connect(ext={"ack": 0})
        await client.subscribe("/a")
        yield bench, client


async def connect(client: BenchClient, number: int | None, **fields: Any) -> Exchange:
    ext = {} if number is None else {"ext": {"ack": number}}
    return await client.connect(**ext, **fields)


def data(exchange: Exchange) -> list[Any]:
    return [event["data"] for event in exchange.events]


def number(exchange: Exchange) -> int:
    found: int = exchange.reply["ext"]["ack"]
    return found


class TestNegotiation:
    async def test_the_handshakes_reply_says_so(self) -> None:
        async with open_bench({"extensions": {"acknowledge": {}}}) as bench:
            reply = await BenchClient(bench).handshake(ext={"ack": True})
        assert reply["ext"] == {"ack": True}

    @pytest.mark.parametrize("ext", [None, {}, {"ack": False}, {"ack": 1}, {"ack": "true"}])
    async def test_who_does_not_ask_is_not_acknowledged(self, ext: Mapping[str, Any] | None) -> None:
        async with open_bench({"extensions": {"acknowledge": {}}}) as bench:
            client = BenchClient(bench)
            reply = await client.handshake(ext=ext)
            assert "ext" not in reply
            assert "ext" not in (await client.connect()).reply
            assert not client.session.meta_connect_delivery_only


class TestNumbers:
    async def test_they_start_at_one_and_rise_with_every_connect_reply(self) -> None:
        async with open_bench({"extensions": {"acknowledge": {}}}) as bench:
            client = await bench.client(ext={"ack": True})
            numbers = [number(await connect(client, seen, advice={"timeout": 0})) for seen in range(4)]
        assert numbers == [1, 2, 3, 4]

    async def test_a_connect_that_was_superseded_is_numbered_before_the_one_that_did_it(self) -> None:
        async with acknowledged() as (bench, client):
            held = await connect(client, 1)
            newer = await connect(client, 1)
            await bench.server.publish("/a", 1)
            await bench.settle()
        assert (number(held), data(held)) == (2, [])
        assert (number(newer), data(newer)) == (3, [1])

    async def test_no_other_reply_has_one(self) -> None:
        async with acknowledged() as (_, client):
            assert "ext" not in await client.subscribe("/b")
            assert "ext" not in await client.publish("/c")

    async def test_a_refused_connect_has_none(self) -> None:
        async with acknowledged() as (_, client):
            refused = await client.send("/meta/connect", connectionType="pigeon")
            assert "ext" not in refused.reply
            assert number(await connect(client, 1, advice={"timeout": 0})) == 2


class TestSending:
    async def test_what_is_confirmed_is_never_sent_again(self) -> None:
        async with acknowledged() as (bench, client):
            await bench.server.publish("/a", 1)
            first = await connect(client, 1)
            assert data(first) == [1]
            second = await connect(client, number(first))
            assert second.array is None  # nothing waits: it is held
            await bench.server.publish("/a", 2)
            await bench.settle()
            assert data(second) == [2]

    async def test_what_is_not_confirmed_is_sent_again_at_once_before_anything_new(self) -> None:
        async with acknowledged() as (bench, client):
            await bench.server.publish("/a", 1)
            await bench.server.publish("/a", 2)
            assert data(await connect(client, 1)) == [1, 2]
            await bench.server.publish("/a", 3)
            again = await connect(client, 1)
            assert data(again) == [1, 2, 3]
            assert data(await connect(client, 2, advice={"timeout": 0})) == [3]

    async def test_a_confirmation_covers_all_replies_below_it(self) -> None:
        async with acknowledged() as (bench, client):
            await bench.server.publish("/a", 1)
            await connect(client, 1)
            await bench.server.publish("/a", 2)
            last = await connect(client, 1)
            assert data(await connect(client, number(last), advice={"timeout": 0})) == []

    @pytest.mark.parametrize("confirmed", [99, -1, None, "2", True, 2.0])
    async def test_a_number_that_was_not_sent_or_is_none_confirms_nothing(self, confirmed: Any) -> None:
        async with acknowledged() as (bench, client):
            await bench.server.publish("/a", 1)
            await connect(client, 1)
            assert data(await connect(client, confirmed)) == [1]

    async def test_a_reply_that_could_not_be_written_is_sent_once_more_and_not_twice(self) -> None:
        async with acknowledged() as (bench, client):
            held = await connect(client, 1)
            await bench.server.publish("/a", 1)
            await bench.settle()
            held.cut()
            assert data(await connect(client, 1)) == [1]

    async def test_a_cut_noticed_after_its_reply_was_confirmed_brings_nothing_back(self) -> None:
        async with acknowledged() as (bench, client):
            held = await connect(client, 1)
            await bench.server.publish("/a", 1)
            await bench.settle()
            newer = await connect(client, number(held))
            held.cut()
            await bench.settle()
            assert newer.array is None


class TestBounds:
    async def test_a_long_absence_is_made_up_in_replies_of_bounded_size(self) -> None:
        async with acknowledged(max_messages=10) as (bench, client):
            for event in range(25):
                await bench.server.publish("/a", event)
            first = await connect(client, 1)
            second = await connect(client, number(first))
            third = await connect(client, number(second))
        assert [data(first), data(second), data(third)] == [
            list(range(10)),
            list(range(10, 20)),
            list(range(20, 25)),
        ]

    async def test_bytes_are_bounded_too_but_one_event_always_goes(self) -> None:
        async with acknowledged(max_bytes=100) as (bench, client):
            for _ in range(2):
                await bench.server.publish("/a", "x" * 200)
            first = await connect(client, 1)
            assert len(first.events) == 1
            assert len((await connect(client, number(first))).events) == 1

    async def test_a_client_that_confirms_the_same_for_ever_loses_its_session(self) -> None:
        """Else it would fill the server's memory: CVE-2025-53114."""
        async with acknowledged(max_messages=10) as (bench, client):
            replies = []
            for event in range(100):
                await bench.server.publish("/a", event)
                replies.append((await connect(client, 1)).reply)
                if not replies[-1]["successful"]:
                    break
            assert len(replies) == 13
            assert replies[-1]["error"] == "402::session_unknown"
            assert replies[-1]["advice"]["reconnect"] == "handshake"
            assert bench.server.core.sessions.why_ended(client.id) == "unacknowledged"

    async def test_a_few_lost_replies_in_a_row_cost_nobody_his_session(self) -> None:
        async with acknowledged(max_messages=10) as (bench, client):
            for event in range(30):
                await bench.server.publish("/a", event)
            for _ in range(2):
                (await connect(client, 1)).cut()
            seen = 1
            received: list[int] = []
            while len(received) < 30:
                reply = await connect(client, seen)
                seen = number(reply)
                received += data(reply)
        assert received == list(range(30))


class TestWhereEventsArePushed:
    @pytest.mark.parametrize("kind", [WebSocketPeer, EventSourcePeer])
    async def test_they_come_right_before_the_connects_reply_and_never_alone(
        self, kind: type[WebSocketPeer | EventSourcePeer]
    ) -> None:
        async with local_server({"extensions": {"acknowledge": {}}}) as server, aiohttp.ClientSession() as http:
            peer = kind(http, server.url)
            client = Client(peer)
            await client.handshake(ext={"ack": True})
            await client.connect(ext={"ack": 0})
            await client.subscribe("/a")
            await server.app.server.publish("/a", 1)
            await client.subscribe("/b")
            assert peer.inbox.empty()
            reply = await client.connect(ext={"ack": 1})
            assert reply["ext"] == {"ack": 2}
            held = client.hold(ext={"ack": 2})
            await client.subscribe("/c")
            await server.app.server.publish("/a", 2)
            assert (await held)["ext"] == {"ack": 3}
            await peer.close()
        flat = [message for array in peer.arrays for message in array]
        order = [message.get("data") or message["ext"] for message in flat if "data" in message or "ext" in message]
        assert order == [{"ack": True}, {"ack": 1}, 1, {"ack": 2}, 2, {"ack": 3}]

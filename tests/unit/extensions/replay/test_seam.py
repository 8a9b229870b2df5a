"""Where the past ends and the present begins: nothing twice, nothing lost, everything in order."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from typing import Any

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View
from bayeux_server.server.session import ServerSession
from extensions.replay.stamp import read_id
from tests.support.bench import Bench, BenchClient, Message, open_bench

ALL_KEPT = -2


class OnlyFor:
    """Shows a session what is marked with its user, hides everything else, and takes its time to decide."""

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    async def views(self, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
        await asyncio.sleep(0)
        self.asked.append(read_id(publication))
        user = publication.data.decode().strip('"').partition(" ")[0]
        seen = Publication(publication.channel, publication.data.upper(), publication.ext)
        return [(seen, [session for session in audience if session.user_id == user])]


def sections(redis_url: str) -> dict[str, Any]:
    backend = {"history": "redis", "broker": "redis", "redis_url": redis_url, "history_max_messages": 5_000}
    return {"backend": backend, "extensions": {"replay": {}}}


async def read_until(client: BenchClient, last: str) -> list[Message]:
    """Return all events up to the one with that data."""
    found: list[Message] = []
    while not any(event["data"] == last for event in found):
        exchange = await client.connect()
        await client.answered(exchange)
        found += exchange.events
    return found


def assert_seamless(events: list[Message], count: int) -> None:
    ids = [event["ext"]["replay"]["id"] for event in events]
    assert ids == sorted(set(ids))
    assert len(events) == count
    assert not any("gap" in event["ext"]["replay"] for event in events)


class TestBetweenNodes:
    async def test_clients_that_come_in_the_middle_of_a_storm_get_every_event_once_in_order(
        self, redis_url: str
    ) -> None:
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(open_bench(sections(redis_url))) for _ in range(2)]

            async def storm(node: Bench, which: int) -> None:
                for number in range(300):
                    await node.server.publish("/a", f"{which}-{number}")

            async def latecomer(node: Bench, delay: int) -> list[Message]:
                for _ in range(delay):
                    await asyncio.sleep(0)
                client = await node.client()
                await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
                return await read_until(client, "end")

            readers = [asyncio.create_task(latecomer(nodes[n % 2], n * 50)) for n in range(6)]
            await asyncio.gather(*(storm(node, which) for which, node in enumerate(nodes)))
            await nodes[0].server.publish("/a", "end")
            stories = await asyncio.gather(*readers)
        for events in stories:
            assert_seamless(events, 601)
            assert events == stories[0]

    async def test_the_same_by_pattern(self, redis_url: str) -> None:
        async with open_bench(sections(redis_url)) as node:

            async def storm(channel: str) -> None:
                for number in range(150):
                    await node.server.publish(channel, number)

            storms = [asyncio.create_task(storm(f"/a/{which}")) for which in range(3)]
            await asyncio.sleep(0.01)
            client = await node.client()
            await client.subscribe("/a/*", ext={"replay": {"/a/*": ALL_KEPT}})
            await asyncio.gather(*storms)
            events: list[Message] = []
            while len(events) < 450:
                exchange = await client.connect()
                await client.answered(exchange)
                events += exchange.events
        for which in range(3):
            assert_seamless([event for event in events if event["channel"] == f"/a/{which}"], 150)


class TestViews:
    async def test_the_past_is_shown_by_the_same_policy_as_the_present(self) -> None:
        async with open_bench({"extensions": {"replay": {}}}) as bench:
            policy = OnlyFor()
            bench.server.set_view_policy("/a", policy)
            for n in range(120):
                await bench.server.publish("/a", f"{'sarah' if n % 50 == 0 else 'omar'} {n}")
            client = BenchClient(bench, user="sarah")
            await client.handshake()
            await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
            for _ in range(40):
                await bench.settle()
            assert [event["data"] for event in await client.events()] == ["SARAH 0", "SARAH 50", "SARAH 100"]
            # Each was decided on once: what is hidden is passed over, and never asked for again.
            assert len(policy.asked) == len(set(policy.asked)) == 120

    async def test_a_policy_that_fails_shows_nothing(self) -> None:
        class Broken:
            def views(self, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
                raise ValueError("as code may")

        async with open_bench({"extensions": {"replay": {}}}) as bench:
            bench.server.set_view_policy("/a", Broken())
            await bench.server.publish("/a", 1)
            client = await bench.client()
            await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
            await bench.settle()
            assert await client.events() == []


class TestWithAcknowledge:
    async def test_the_past_is_sent_again_until_it_is_confirmed(self) -> None:
        async with open_bench({"extensions": {"acknowledge": {"max_messages": 50}, "replay": {}}}) as bench:
            for number in range(300):
                await bench.server.publish("/a", number)
            client = await bench.client(ext={"ack": True})
            await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
            received: list[int] = []
            number = 0
            for attempt in range(40):
                exchange = await client.connect(ext={"ack": number}, advice={"timeout": 0})
                if attempt % 3 == 1:
                    exchange.cut()
                    continue
                received += [event["data"] for event in exchange.events]
                number = exchange.reply["ext"]["ack"]
        assert received == list(range(300))


class TestFailure:
    async def test_a_telling_that_breaks_ends_the_session_and_says_so(self) -> None:
        """Kept back and never told, live events would be lost in silence."""
        async with open_bench({"extensions": {"replay": {}}}) as bench:
            await bench.server.publish("/a", 1)
            client = await bench.client()

            async def broken(*_: object) -> None:
                raise ValueError("as code may")

            bench.app.history.after = broken  # type: ignore[method-assign,assignment]  # nothing real fails like this
            await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
            await bench.settle()
            assert bench.server.core.sessions.why_ended(client.id) == "replay_failed"


class TestOvertaken:
    async def test_an_event_told_from_the_history_does_not_come_again_when_it_arrives_late(self) -> None:
        async with open_bench({"extensions": {"replay": {}}}) as bench:
            client, arrive = await bench.client(), bench.server.core.broker._inner._on_publication  # type: ignore[attr-defined]
            channel = bench.server.core.grammar.parse("/a")
            ids = [(await bench.app.history.append(channel, b"%d" % number)).id for number in (1, 2, 3)]
            await client.subscribe("/a", ext={"replay": {"/a": ALL_KEPT}})
            assert [event["data"] for event in await client.events()] == [1, 2, 3]
            for late in (2, 1):
                arrive(Publication(channel, b"%d" % (late + 1), {"replay": {"id": ids[late]}}))
            ids.append((await bench.app.history.append(channel, b"4")).id)
            arrive(Publication(channel, b"4", {"replay": {"id": ids[3]}}))
            arrive(Publication(channel, b"1", {"replay": {"id": ids[0]}}))
            await bench.settle()
            assert [event["data"] for event in await client.events()] == [4]

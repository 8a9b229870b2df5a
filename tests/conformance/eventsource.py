"""The event stream."""

import asyncio
import json

import aiohttp

from tests.conformance.world import World, scenario
from tests.support.client import PATIENCE_S, EventSourcePeer

ACCEPT = {"Accept": "text/event-stream"}


@scenario()
async def is_an_event_stream_that_nobody_keeps(world: World) -> None:
    """It starts at once."""
    client = world.client("long-polling")
    await client.handshake()
    async with world.http.get(f"{world.target.url}/{client.id}", headers=ACCEPT) as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert "no-store" in stream.headers["Cache-Control"]


@scenario()
async def of_an_unknown_session_is_404(world: World) -> None:
    """The client shakes hands again when its connect tells so."""
    async with world.http.get(world.target.url + "/0123456789abcdef", headers=ACCEPT) as response:
        assert response.status == 404


@scenario()
async def carries_each_batch_of_events_as_one_line(world: World) -> None:
    """``data:`` and an array."""
    client, publisher = world.client("long-polling"), await world.another()
    await client.handshake()
    async with world.http.get(f"{world.target.url}/{client.id}", headers=ACCEPT) as stream:
        await client.subscribe(world.channel())
        await publisher.publish(world.channel(), "a\nb")
        [event] = json.loads(await _next_data(stream))
        assert (event["channel"], event["data"]) == (world.channel(), "a\nb")


@scenario()
async def brings_no_event_that_the_connect_brings_too(world: World) -> None:
    """The stream carries the events, the connect is the heartbeat."""
    client, publisher = await world.session("eventsource"), await world.another()
    await client.subscribe(world.channel())
    held = world.hold(client, advice={"timeout": 300})
    for number in range(3):
        await publisher.publish(world.channel(), number)
    assert [(await client.event())["data"] for _ in range(3)] == [0, 1, 2]
    await held
    assert client.peer.inbox.empty()


@scenario()
async def ends_with_the_session(world: World) -> None:
    """Its browser would keep it open for good."""
    client = await world.session("long-polling")
    async with world.http.get(f"{world.target.url}/{client.id}", headers=ACCEPT) as stream:
        await client.disconnect()
        async with asyncio.timeout(PATIENCE_S):
            await stream.content.read()


@scenario()
async def answers_a_poll_that_is_held(world: World) -> None:
    """From now on events take the stream."""
    client = await world.session("long-polling")
    held = await world.held(client)
    async with world.http.get(f"{world.target.url}/{client.id}", headers=ACCEPT):
        assert (await held)["successful"] is True


@scenario()
async def ends_when_its_session_goes_on_elsewhere(world: World) -> None:
    """By another stream or transport; events go there from then on."""
    publisher = await world.another()
    for transport in ("eventsource", "websocket", "long-polling"):
        client = await world.session("eventsource")
        await client.subscribe(world.channel())
        hopped = world.client(transport)
        hopped.id = client.id
        await hopped.peer.bound(str(client.id))
        if transport != "eventsource":
            await hopped.connect(advice={"timeout": 0})
        assert isinstance(client.peer, EventSourcePeer)
        await client.peer.ended()
        await publisher.publish(world.channel(), transport)
        assert (await hopped.event())["data"] == transport


@scenario()
async def that_is_cut_loses_nothing(world: World) -> None:
    """What comes next waits for the next stream or connect."""
    http = await world.browser(cookies=False)
    client, publisher = await world.session("long-polling"), await world.another()
    await client.subscribe(world.channel())
    async with http.get(f"{world.target.url}/{client.id}", headers=ACCEPT):
        pass
    await http.close()
    for number in range(3):
        await publisher.publish(world.channel(), number)
    async with world.http.get(f"{world.target.url}/{client.id}", headers=ACCEPT) as stream:
        seen = await _next_data(stream)
        while '"data":2' not in seen:
            seen += await _next_data(stream)
    assert [f'"data":{number}' in seen for number in range(3)] == [True, True, True]


async def _next_data(stream: aiohttp.ClientResponse) -> str:
    async with asyncio.timeout(PATIENCE_S):
        async for line in stream.content:
            if line.startswith(b"data:"):
                return line.decode()[5:].strip()
    raise AssertionError("the stream ended")

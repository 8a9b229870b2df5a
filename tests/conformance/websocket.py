"""Frames."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp

from tests.conformance.http import SHAKE
from tests.conformance.world import World, scenario
from tests.support.client import PATIENCE_S


async def _close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(PATIENCE_S):
        async for _ in socket:
            pass
    return socket.close_code


@scenario()
async def opens_without_a_sub_protocol(world: World) -> None:
    """None asked for, none selected; and unknown ones are not either."""
    assert (await world.socket()).protocol is None
    assert (await world.socket(protocols=("unknown",))).protocol is None


@scenario()
async def stays_open_without_a_message(world: World) -> None:
    """Faye opens it while it shakes hands over HTTP."""
    socket = await world.socket()
    await world.another()
    await socket.send_str(json.dumps([SHAKE]))
    assert json.loads((await socket.receive(PATIENCE_S)).data)[0]["successful"] is True


@scenario()
async def opens_below_the_mount_too(world: World) -> None:
    """The mount and all below it are one end point."""
    for path in ("/", "/connect"):
        async with world.http.ws_connect(world.target.url + path) as socket:
            await socket.send_str(json.dumps(SHAKE))
            assert json.loads((await socket.receive(PATIENCE_S)).data)[0]["successful"] is True


@scenario()
async def answers_an_empty_array_with_one(world: World) -> None:
    """The heartbeat of Faye up to 1.2."""
    socket = await world.socket()
    await socket.send_str("[]")
    assert (await socket.receive(PATIENCE_S)).data == "[]"


@scenario()
async def ignores_empty_text(world: World) -> None:
    """It is no message."""
    socket = await world.socket()
    await socket.send_str("")
    await socket.send_str("[]")
    assert (await socket.receive(PATIENCE_S)).data == "[]"


@scenario()
async def is_closed_with_1007_over_what_is_no_batch(world: World) -> None:
    """At once: there is no saying what was lost."""
    for text in ("{", "5", '"a"', "null", "[1,]", "nonsense"):
        socket = await world.socket()
        await socket.send_str(text)
        assert await _close_code(socket) == 1007, text


@scenario()
async def is_closed_with_1007_over_text_that_is_not_utf_8(world: World) -> None:
    """As RFC 6455 asks."""
    socket = await world.socket()
    writer = socket._writer
    await writer.send_frame(b'["\xff"]', aiohttp.WSMsgType.TEXT)
    assert await _close_code(socket) == 1007


@scenario()
async def is_closed_with_1009_over_a_frame_that_is_too_big(world: World) -> None:
    """No server takes 64 MiB."""
    socket = await world.socket()
    try:
        await socket.send_str("[" + " " * (64 * 1024 * 1024) + "]")
    except ConnectionError:
        return  # closed while we were still sending
    assert await _close_code(socket) in (1009, 1006)


@scenario()
async def is_closed_with_1003_over_a_binary_frame(world: World) -> None:
    """Unless a sub-protocol says otherwise."""
    socket = await world.socket()
    await socket.send_bytes(json.dumps([SHAKE]).encode())
    assert await _close_code(socket) == 1003


@scenario()
async def processes_nothing_behind_the_frame_it_was_closed_for(world: World) -> None:
    """What comes after a mistake is not trusted."""
    client = await world.another()
    await client.subscribe(world.channel())
    socket = await world.socket()
    await asyncio.gather(
        socket.send_str("{"),
        socket.send_str(json.dumps([client.message(world.channel(), data="behind")])),
    )
    assert await _close_code(socket) == 1007
    await client.publish(world.channel(), "after")
    assert (await client.event())["data"] == "after"


@asynccontextmanager
async def _raw_socket(world: World) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a WebSocket whose frames the scenario makes itself."""
    parts = urlsplit(world.target.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        upgrade = (
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.write(upgrade.encode())
        async with asyncio.timeout(PATIENCE_S):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            yield reader, writer
    finally:
        writer.close()


@scenario()
async def is_closed_with_1002_over_an_unmasked_frame(world: World) -> None:
    """As RFC 6455 asks of servers."""
    async with _raw_socket(world) as (reader, writer):
        writer.write(b"\x81\x02[]")
        frame = await reader.readexactly(4)
    assert frame[0] == 0x88
    assert int.from_bytes(frame[2:4], "big") == 1002


@scenario()
async def takes_a_message_in_several_frames(world: World) -> None:
    """As a client may send it, in packets of any size."""
    message = json.dumps([SHAKE]).encode()
    no_mask = bytes(4)  # a mask of zeros leaves the bytes as they are
    async with _raw_socket(world) as (reader, writer):
        writer.write(b"\x01\x8a" + no_mask + message[:10])
        await writer.drain()
        writer.write(b"\x80" + bytes([0x80 | len(message[10:])]) + no_mask + message[10:])
        head = await reader.readexactly(4)
        [reply] = json.loads(await reader.readexactly(int.from_bytes(head[2:], "big")))
    assert reply["successful"] is True


@scenario()
async def sends_events_before_the_reply_that_led_to_them(world: World) -> None:
    """Event frames first, then one frame with the replies of the incoming frame."""
    client = await world.session("websocket")
    await client.subscribe(world.channel())
    await client.batch(client.message(world.channel(), data=1), client.message(world.channel(), data=2))
    await client.event()
    shapes = [["data" in message for message in array] for array in client.peer.arrays[-3:]]
    assert shapes == [[True], [True], [False, False]]


@scenario()
async def takes_a_ping(world: World) -> None:
    """A pong with the same bytes."""
    socket = await world.socket(autoping=False)
    await socket.ping(b"are you there")
    message = await socket.receive(PATIENCE_S)
    assert message.type is aiohttp.WSMsgType.PONG
    assert message.data == b"are you there"


@scenario()
async def gets_a_cookie_with_its_opening(world: World) -> None:
    """Where the request brought none."""
    socket = await world.socket()
    assert "BAYEUX_BROWSER" in socket._response.cookies
    again = await world.socket(headers={"Cookie": "BAYEUX_BROWSER=known"})
    assert "BAYEUX_BROWSER" not in again._response.cookies


@scenario()
async def speaks_messagepack_where_that_was_agreed_on(world: World) -> None:
    """The sub-protocol for back-end services: the same messages in binary frames."""
    import msgpack

    socket = await world.socket(protocols=("bayeux.msgpack",))
    assert socket.protocol == "bayeux.msgpack"
    await socket.send_bytes(msgpack.packb([SHAKE]))
    frame = await socket.receive(PATIENCE_S)
    assert frame.type is aiohttp.WSMsgType.BINARY
    assert msgpack.unpackb(frame.data)[0]["successful"] is True
    await socket.send_str(json.dumps([SHAKE]))
    assert await _close_code(socket) == 1003

"""The wire, whatever comes over it."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from urllib.parse import quote_from_bytes

import aiohttp
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw
from structlog.testing import capture_logs
from yarl import URL

from bayeux_server.errors import BodyError, RemoteError
from bayeux_server.protocol.channel_id import ChannelGrammar, ChannelId
from bayeux_server.protocol.messages import Malformed, Publish, Reply
from bayeux_server.protocol.msgpack_wire import from_json, to_json
from bayeux_server.protocol.wire import Reader, depth_of, write
from tests.support.examples import examples
from tests.support.manual_clock import ManualClock
from tests.support.server import LocalServer, local_server

GRAMMAR = ChannelGrammar()
READER = Reader(GRAMMAR)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
segments = st.sampled_from(["a", "b", "c", "meta", "service", "a-b", "x y"])
channels = st.lists(segments, min_size=1, max_size=5).map(lambda names: "/" + "/".join(names))
patterns = st.builds(lambda channel, star: channel + star, channels | st.just(""), st.sampled_from(["", "/*", "/**"]))

#: Things that look like messages: right fields with right or wrong values.
names = st.sampled_from(
    [
        "channel",
        "id",
        "clientId",
        "data",
        "ext",
        "advice",
        "subscription",
        "connectionType",
        "version",
        "minimumVersion",
        "supportedConnectionTypes",
        "successful",
        "x",
    ]
)
meta = st.sampled_from(["/meta/" + name for name in ("handshake", "connect", "subscribe", "unsubscribe", "disconnect")])
nearly_messages = st.dictionaries(names, values | channels | patterns | meta, max_size=8).flatmap(
    lambda fields: (meta | channels).map(lambda channel: {"channel": channel} | fields)
)
handshakes = st.just({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]})
batches = st.lists(nearly_messages | handshakes | values, max_size=6) | nearly_messages | values
bodies = st.binary(max_size=200) | batches.map(lambda batch: json.dumps(batch).encode())


class TestReading:
    @given(values, values, channels)
    def test_id_and_data_keep_every_byte(self, data: object, other: object, channel: str) -> None:
        text = json.dumps(data, indent=1).encode()
        body = b'[{"other": %b, "channel": %b,"id": "\\u0031", "data":%b  }]' % (
            json.dumps(other).encode(),
            json.dumps(channel).encode(),
            text,
        )
        [message] = READER.read(body)
        if GRAMMAR.parse(channel).kind.value == "meta":
            assert isinstance(message, Malformed)
            return
        assert isinstance(message, Publish)
        assert bytes(message.data) == text
        assert message.id is not None
        assert bytes(message.id) == b'"\\u0031"'

    @given(bodies)
    def test_any_bytes_are_read_or_refused(self, body: bytes) -> None:
        with suppress(BodyError):
            READER.read(body)

    @given(values)
    def test_depth_is_that_of_a_naive_count(self, value: object) -> None:
        def depth(of: object) -> int:
            if isinstance(of, dict):
                return 1 + max(map(depth, of.values()), default=0)
            return 1 + max(map(depth, of), default=0) if isinstance(of, list) else 0

        assert depth_of(json.dumps(value).encode()) == depth(value)

    @given(values)
    def test_messagepack_carries_what_json_says(self, value: object) -> None:
        assert json.loads(to_json(from_json(json.dumps(value).encode()))) == value


class TestWriting:
    @given(st.lists(st.tuples(channels, scalars, values, st.booleans())))
    def test_what_is_written_can_be_read_again(self, items: list[tuple[str, object, object, bool]]) -> None:
        replies = [
            Reply(channel=channel, id=Raw(json.dumps(number).encode()), successful=fine, ext={"x": ext})
            for channel, number, ext, fine in items
        ]
        again = json.loads(write(replies))
        assert again == [
            {"channel": channel, "id": number, "successful": fine, "ext": {"x": ext}}
            for channel, number, ext, fine in items
        ]
        assert "clientId" not in msgspec.json.decode(write([Reply(channel="/a")]))[0]
        assert Reply().id is UNSET

    @given(st.text(), st.text(max_size=300))
    def test_nothing_sent_breaks_out_of_its_argument(self, one: str, two: str) -> None:
        error = str(RemoteError(403, [one, two], "denied"))
        code, arguments, text = error.split(":")
        assert (code, text) == ("403", "denied")
        assert arguments.count(",") == 1


class TestMatching:
    @given(channels, patterns.filter(bool))
    def test_is_that_of_a_naive_matcher(self, channel: str, pattern: str) -> None:
        wanted = GRAMMAR.parse(pattern)
        assert (wanted.name in GRAMMAR.parse(channel).matching()) == _matches(wanted, channel.split("/")[1:])

    @given(channels)
    def test_names_are_distinct_and_few(self, channel: str) -> None:
        names = GRAMMAR.parse(channel).matching()
        assert len(set(names)) == len(names) <= len(channel.split("/")) + 1


def _matches(pattern: ChannelId, segments: list[str]) -> bool:
    *head, last = pattern.segments
    if segments[0] in ("meta", "service"):
        return list(pattern.segments) == segments
    if last == "**":
        return len(segments) > len(head) and segments[: len(head)] == head
    if last == "*":
        return len(segments) == len(head) + 1 and segments[:-1] == head
    return list(pattern.segments) == segments


Feed = Callable[[LocalServer, aiohttp.ClientSession, bytes], Coroutine[None, None, None]]


async def _post_json(server: LocalServer, http: aiohttp.ClientSession, body: bytes) -> None:
    await _post(server, http, body, "application/json")


async def _post_form(server: LocalServer, http: aiohttp.ClientSession, body: bytes) -> None:
    await _post(server, http, b"message=" + quote_from_bytes(body).encode(), "text/plain")
    await _post(server, http, body, "text/plain")


async def _post(server: LocalServer, http: aiohttp.ClientSession, body: bytes, kind: str) -> None:
    async with http.post(server.url, data=body, headers={"Content-Type": kind}) as response:
        assert response.status in (200, 400, 413)
        await response.read()


async def _post_encoded(server: LocalServer, http: aiohttp.ClientSession, body: bytes) -> None:
    for encoding in ("gzip", "deflate"):
        for path in ("/bayeux", "/api/publish"):
            headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
            async with http.post(server.base + path, data=body, headers=headers) as response:
                assert response.status in (400, 422)
                await response.read()


async def _publish(server: LocalServer, http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.post(server.base + "/api/publish", data=body) as response:
        assert response.status in (200, 413, 422)
        await response.read()


async def _get_script(server: LocalServer, http: aiohttp.ClientSession, body: bytes) -> None:
    url = f"{server.url}?jsonp=f&message={quote_from_bytes(body)}"
    async with http.get(URL(url, encoded=True)) as response:
        assert response.status in (200, 400, 413)
        await response.read()


async def _get_stream(server: LocalServer, http: aiohttp.ClientSession, body: bytes) -> None:
    url = URL(f"{server.url}/{quote_from_bytes(body)}", encoded=True)
    async with http.get(url, headers={"Accept": "text/event-stream"}) as response:
        assert response.status in (400, 404)


async def _send_frames(server: LocalServer, http: aiohttp.ClientSession, body: bytes) -> None:
    for kind in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
        async with http.ws_connect(server.url) as socket:
            await socket._writer.send_frame(body, kind)
            await socket._writer.send_frame(b"[]", aiohttp.WSMsgType.TEXT)
            while (await socket.receive(10)).data not in ("[]", None, *range(1_000, 1_100)):
                pass


async def _send_packed(server: LocalServer, http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.ws_connect(server.url, protocols=("bayeux.msgpack",)) as socket:
        await socket.send_bytes(body)
        await socket.send_bytes(b"\x90")
        while (await socket.receive(10)).data not in (b"\x90", None, *range(1_000, 1_100)):
            pass


async def _send_raw(server: LocalServer, _http: aiohttp.ClientSession, body: bytes) -> None:
    port = int(server.base.rpartition(":")[2])
    for head in (b"", b"POST /bayeux HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n", _UPGRADE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionError):
            writer.write(head + body)
            writer.write_eof()
            await reader.read()
        writer.close()


_UPGRADE = (
    b"GET /bayeux HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

FEEDS: list[Feed] = [
    _post_json,
    _post_form,
    _post_encoded,
    _publish,
    _get_script,
    _get_stream,
    _send_frames,
    _send_packed,
    _send_raw,
]


class TestArbitraryBytes:
    @pytest.mark.parametrize("feed", FEEDS)
    def test_crash_nothing_and_leak_no_session(self, feed: Feed, caplog: pytest.LogCaptureFixture) -> None:
        clock = ManualClock()
        with asyncio.Runner() as runner, capture_logs() as entries:
            context = local_server(clock=clock)
            server = runner.run(context.__aenter__())
            http = runner.run(_http())

            @settings(max_examples=examples(40))
            @given(bodies)
            def check(body: bytes) -> None:
                runner.run(feed(server, http, body))

            check()
            runner.run(http.close())
            runner.run(_settled(server))
            runner.run(context.__aexit__(None, None, None))
        assert server.sessions == 0
        assert [entry for entry in entries if entry["log_level"] in ("error", "critical")] == []
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def _http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


async def _settled(server: LocalServer) -> None:
    for _ in range(3):
        server.advance(100)
        async with aiohttp.ClientSession() as http, http.get(server.base + "/healthz") as response:
            assert (await response.json())["status"] == "ok"

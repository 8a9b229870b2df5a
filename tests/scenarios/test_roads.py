"""The short road and aiohttp's answer alike."""

import asyncio
import json

import aiohttp
import pytest
from yarl import URL

from tests.support.client import PATIENCE_S
from tests.support.server import LocalServer, local_server

HANDSHAKE = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"], "id": "1"}
#: They differ from one request to the next.
VOLATILE = {"Date", "X-Request-ID", "Set-Cookie", "Content-Length"}

JSON = {"Content-Type": "application/json"}
UPGRADE = (
    b"GET /bayeux HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def answered(
    server: LocalServer, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, str], str | None, str]:
    """Return the status, the steady headers, the attributes of the cookie, and a text without what is random."""
    async with aiohttp.ClientSession() as http, http.post(server.url, data=body, headers=headers) as response:
        text = await response.text()
        if response.content_type == "application/json":
            messages = json.loads(text)
            text = json.dumps([{**message, "clientId": "clientId" in message} for message in messages])
        cookie = response.headers.get("Set-Cookie")
        steady = {name: value for name, value in response.headers.items() if name not in VOLATILE}
        assert {"Date", "X-Request-ID"} <= set(response.headers)
        return response.status, steady, cookie and cookie.partition("; ")[2], text


@pytest.mark.parametrize("short_road", [True, False])
class TestConfigured:
    async def test_mount_is_where_it_is_said_to_be(self, short_road: bool) -> None:
        sections = {"server": {"short_road": short_road, "mount": "/live/events"}}
        async with local_server(sections) as server, aiohttp.ClientSession(server.base) as http:
            for path, status in (("/live/events", 200), ("/live/events/handshake", 200), ("/bayeux", 404)):
                async with http.post(path, json=[HANDSHAKE]) as response:
                    assert response.status == status
            async with http.ws_connect("/live/events") as socket:
                await socket.send_str("[]")
                assert await socket.receive_str(timeout=PATIENCE_S) == "[]"
            async with http.get("/live/events.js") as response:
                assert response.status == 200

    async def test_origins_are_those_that_browsers_mean(self, short_road: bool) -> None:
        sections = {"server": {"short_road": short_road, "allowed_origins": ["https://App.Example/"]}}
        headers = {"Origin": "https://app.example"}
        async with (
            local_server(sections) as server,
            aiohttp.ClientSession() as http,
            http.post(server.url, json=[HANDSHAKE], headers=headers) as response,
        ):
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"


class TestRoads:
    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (json.dumps([HANDSHAKE]).encode(), JSON),
            (json.dumps(HANDSHAKE).encode(), {**JSON, "Cookie": "BAYEUX_BROWSER=abc"}),
            (b"message=" + json.dumps(HANDSHAKE).encode(), {"Content-Type": "text/plain;charset=UTF-8"}),
            (b'[{"channel":"/meta/connect","connectionType":"long-polling","clientId":"x"}]', JSON),
            (b"[]", JSON),
            (b"[", JSON),
            (b"7", JSON),
            (b"\xff", JSON),
            (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}),
            (b"[%b]" % b",".join([b"{}"] * 4), JSON),
            (b"[" + b" " * 3_000 + b"]", JSON),
        ],
    )
    async def test_a_post_is_answered_alike_on_both(self, body: bytes, headers: dict[str, str]) -> None:
        limits = {"max_body_bytes": 2_000, "max_messages_per_batch": 3}
        async with (
            local_server({"limits": limits}) as short,
            local_server({"limits": limits, "server": {"short_road": False}}) as long,
        ):
            assert await answered(short, body, headers) == await answered(long, body, headers)

    @pytest.mark.parametrize("short_road", [True, False])
    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (b"POST /bayeux HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n[]", b"400"),
            (UPGRADE, b"101"),
            (b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
            (b"PUT /bayeux HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
            (b"\x16\x03\x01 no HTTP at all\r\n\r\n", b"400"),
        ],
        ids=["mount", "upgrade", "nowhere", "wrong method", "no HTTP"],
    )
    async def test_no_answer_tells_the_versions_of_our_software(
        self, request_: bytes, status: bytes, short_road: bool
    ) -> None:
        async with local_server({"server": {"short_road": short_road}}) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(server.url).port)
            writer.write(request_)
            async with asyncio.timeout(PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.close()
        assert head.split()[1] == status
        assert [line for line in head.splitlines() if line.startswith(b"Server:")] == [b"Server: bayeux-server"]

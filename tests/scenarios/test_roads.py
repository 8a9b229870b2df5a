"""The short road and aiohttp's answer alike."""

import json

import aiohttp
import pytest

from tests.support.server import LocalServer, local_server

HANDSHAKE = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"], "id": "1"}
#: They differ from one request to the next, or tell which software made them.
VOLATILE = {"Date", "Server", "X-Request-ID", "Set-Cookie", "Content-Length"}

JSON = {"Content-Type": "application/json"}


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

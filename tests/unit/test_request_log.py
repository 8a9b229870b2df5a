"""What is logged of a request, and what never is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.support.client import Client, EventSourcePeer, WebSocketPeer
from tests.support.server import LocalServer, local_server

LOGGED = {"log": {"requests": True}}
SECRET = "s3cr3t"


@contextmanager
def requests() -> Iterator[list[dict[str, Any]]]:
    """Collect the lines about requests, with the context they were logged in."""
    found: list[dict[str, Any]] = []
    with capture_logs(processors=[merge_contextvars]) as lines:
        yield found
    found += [dict(line) for line in lines if line["event"] == "request"]


async def get(server: LocalServer, path: str, **headers: str) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as http, http.get(server.base + path, headers=headers) as response:
        await response.read()
        return response


class TestRequestId:
    async def test_it_is_made_and_sent_back(self) -> None:
        async with local_server() as server:
            ids = {(await get(server, "/healthz")).headers["X-Request-ID"] for _ in range(2)}
        assert len(ids) == 2

    async def test_a_proxys_own_is_taken_over(self) -> None:
        async with local_server() as server:
            response = await get(server, "/healthz", **{"X-Request-ID": "edge-42.a_B"})
        assert response.headers["X-Request-ID"] == "edge-42.a_B"

    @pytest.mark.parametrize("given", ["", "two words", "a" * 65, "a;b", '"quoted"', "caf\u00e9"])
    async def test_one_that_could_break_out_of_a_line_is_replaced(self, given: str) -> None:
        async with local_server() as server:
            response = await get(server, "/healthz", **{"X-Request-ID": given})
        assert response.headers["X-Request-ID"] not in ("", given)

    async def test_a_refusal_has_one_too(self) -> None:
        async with local_server() as server:
            response = await get(server, "/nowhere")
        assert response.status == 404
        assert response.headers["X-Request-ID"]

    async def test_lines_that_a_request_causes_carry_it(self) -> None:
        async with local_server() as server, aiohttp.ClientSession() as http:
            with capture_logs(processors=[merge_contextvars]) as lines:
                await http.post(server.url, json=_HANDSHAKE, headers={"X-Request-ID": "edge-1"})
        (began,) = [line for line in lines if line["event"] == "session.began"]
        assert began["request_id"] == "edge-1"

    async def test_an_opened_websocket_has_one(self) -> None:
        named = {"X-Request-ID": "edge-2"}
        async with local_server() as server, aiohttp.ClientSession() as http:
            socket = await http.ws_connect(server.url, headers=named)
            assert socket._response.headers["X-Request-ID"] == "edge-2"
            await socket.close()


class TestLine:
    async def test_it_tells_what_was_asked_how_it_ended_and_how_long_it_took(self) -> None:
        async with local_server(LOGGED) as server, aiohttp.ClientSession() as http:
            with requests() as lines:
                async with http.post(server.url, json=_HANDSHAKE, headers={"X-Request-ID": "edge-3"}) as response:
                    body = await response.read()
        (line,) = lines
        assert line.pop("duration_ms") >= 0
        assert line.pop("request_bytes") > 0
        assert line.pop("response_bytes") > len(body)  # with its headers
        assert line == {
            "event": "request",
            "log_level": "info",
            "request_id": "edge-3",
            "method": "POST",
            "route": "/bayeux",
            "query": None,
            "status": 200,
            "address": "127.0.0.1",
        }

    async def test_there_is_none_unless_asked_for(self) -> None:
        async with local_server() as server:
            with requests() as lines:
                await get(server, "/healthz")
        assert lines == []

    async def test_probes_are_for_those_who_debug(self) -> None:
        async with local_server(LOGGED) as server:
            with requests() as lines:
                for path in ("/healthz", "/readyz", "/metrics"):
                    await get(server, path)
        assert [line["log_level"] for line in lines] == ["debug"] * 3

    async def test_a_refusal_is_logged_with_its_status(self) -> None:
        async with local_server(LOGGED) as server:
            with requests() as lines:
                await get(server, "/nowhere")
        assert [(line["route"], line["status"]) for line in lines] == [("(none)", 404)]

    async def test_behind_a_trusted_proxy_the_address_is_the_clients(self) -> None:
        async with local_server({**LOGGED, "server": {"trusted_proxies": ["127.0.0.1"]}}) as server:
            with requests() as lines:
                await get(server, "/", **{"X-Forwarded-For": "203.0.113.7"})
        assert [line["address"] for line in lines] == ["203.0.113.7"]

    async def test_a_websocket_is_one_line(self) -> None:
        with requests() as lines:
            async with local_server(LOGGED) as server, aiohttp.ClientSession() as http:
                client = await Client(WebSocketPeer(http, server.url)).begin()
                await client.disconnect()
                await client.peer.close()
        assert [(line["route"], line["status"]) for line in lines] == [("/bayeux", 101)]


class TestSecrets:
    async def test_a_jsonp_message_is_not_logged(self) -> None:
        message = f'[{{"channel":"/demo","data":"{SECRET}","clientId":"{SECRET}"}}]'
        async with local_server(LOGGED) as server, aiohttp.ClientSession() as http:
            with capture_logs() as lines:
                await http.get(server.url, params={"message": message, "jsonp": "cb"})
        assert [line["query"] for line in lines if line["event"] == "request"] == ["message=-&jsonp=-"]
        assert SECRET not in str(lines)

    async def test_a_parameter_that_is_no_name_is_not_logged(self) -> None:
        async with local_server(LOGGED) as server:
            with capture_logs() as lines:
                await get(server, f"/healthz?{SECRET}.4.5=1&access_token={SECRET}")
        assert SECRET not in str(lines)

    async def test_the_session_in_an_event_streams_address_is_not_logged(self) -> None:
        with capture_logs() as lines:
            async with local_server(LOGGED) as server, aiohttp.ClientSession() as http:
                client = await Client(EventSourcePeer(http, server.url)).begin()
                await client.peer.close()
        streams = [line for line in lines if line["event"] == "request" and line["method"] == "GET"]
        assert [line["route"] for line in streams] == ["/bayeux/{rest}"]
        assert client.id is not None
        assert client.id not in str(lines)

    async def test_a_path_that_leads_nowhere_is_not_logged(self) -> None:
        async with local_server(LOGGED) as server:
            with capture_logs() as lines:
                await get(server, f"/wrong/{SECRET}")
        assert SECRET not in str(lines)

    async def test_a_token_is_not_logged(self) -> None:
        async with local_server(LOGGED) as server:
            with capture_logs() as lines:
                await get(server, "/healthz", Authorization=f"Bearer {SECRET}")
        assert SECRET not in str(lines)


_HANDSHAKE = {
    "channel": "/meta/handshake",
    "version": "1.0",
    "supportedConnectionTypes": ["long-polling"],
    "id": "1",
}

"""What the server counts, as it would be scraped."""

import re

import aiohttp
import pytest

from bayeux_server.errors import Overloaded, RemoteError
from bayeux_server.protocol.messages import Handshake, Message
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from tests.conformance.world import ALL
from tests.support.bench import Bench, BenchClient, open_bench
from tests.support.client import PEERS, Client
from tests.support.server import LocalServer, local_server


class Doorkeeper(Extension):
    """Lets no handshake pass."""

    def __init__(self, refusal: Exception) -> None:
        self._refusal = refusal

    def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        if isinstance(message, Handshake):
            raise self._refusal


def value(bench: Bench | LocalServer, name: str, **labels: str) -> float:
    bench.app.metrics.collect()
    found = bench.app.registry.get_sample_value(name, labels or None)
    assert found is not None, f"there is no {name} {labels}"
    return found


class TestHandshakeFailures:
    @pytest.mark.parametrize(
        ("refusal", "reason"),
        [
            (RemoteError(401, (), "token_expired"), "token_expired"),
            (RemoteError(401, ["sub"], "token_claim_missing"), "token_claim_missing"),
            (RemoteError(403, (), "whatever another extension says"), "other"),
            (ValueError(), "server_error"),
        ],
    )
    async def test_they_are_counted_by_reasons_known_beforehand(self, refusal: Exception, reason: str) -> None:
        async with open_bench() as bench:
            bench.server.add_extension(Doorkeeper(refusal))
            assert not (await BenchClient(bench).handshake())["successful"]
            assert value(bench, "bayeux_handshake_failures_total", reason=reason) == 1

    async def test_those_of_the_protocol_too(self) -> None:
        async with open_bench() as bench:
            shake = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["pigeon"]}
            await bench.request(shake)
            await bench.request({**shake, "minimumVersion": "9.0"})
            assert value(bench, "bayeux_handshake_failures_total", reason="no_common_connection_type") == 1
            assert value(bench, "bayeux_handshake_failures_total", reason="unsupported_version") == 1

    async def test_a_refused_token_has_its_code(self) -> None:
        async with open_bench() as bench:
            bench.server.add_extension(Doorkeeper(RemoteError(401, (), "token_expired")))
            await BenchClient(bench).handshake()
            assert value(bench, "bayeux_refusals_total", kind="handshake", code="401") == 1

    @pytest.mark.parametrize("limit", ["too_many_handshakes_of_address", "token_keys_unavailable"])
    async def test_one_that_is_put_off_is_counted_as_shed(self, limit: str) -> None:
        async with local_server() as server, aiohttp.ClientSession() as http:
            server.app.server.add_extension(Doorkeeper(Overloaded(limit)))
            shake = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}
            async with http.post(server.url, json=[shake]) as response:
                assert response.status == 503
            assert value(server, "bayeux_shed_total", limit=limit) == 1


class TestBytes:
    @pytest.mark.parametrize("transport", ALL)
    async def test_they_are_counted_on_every_transport_both_ways(self, transport: str) -> None:
        payload = "x" * 1_000
        async with local_server() as server, aiohttp.ClientSession() as http:
            client = await Client(PEERS[transport](http, server.url)).begin()
            await client.subscribe("/a")
            await client.publish("/a", payload)
            assert (await client.event())["data"] == payload
            assert len(payload) < value(server, "bayeux_received_bytes_total") < 3 * len(payload)
            assert len(payload) < value(server, "bayeux_sent_bytes_total") < 4 * len(payload)
            await client.peer.close()


class TestScrape:
    async def test_it_tells_of_the_process_and_names_nobody(self) -> None:
        async with local_server() as server, aiohttp.ClientSession() as http:
            client = await Client(PEERS["websocket"](http, server.url)).begin()
            await client.subscribe("/secret/channel")
            async with http.get(server.base + "/metrics") as response:
                text = await response.text()
            await client.peer.close()
        assert re.search(r"^process_resident_memory_bytes \d", text, re.MULTILINE)
        assert client.id is not None
        assert client.id not in text
        assert "secret" not in text

"""``conf/nginx.conf`` as it ships, in a real nginx over TLS."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.client import Client, EventSourcePeer, LongPollingPeer, Peer, WebSocketPeer
from tests.support.manual_clock import ManualClock
from tests.support.server import LocalServer, local_server
from tests.support.services.nginx import Nginx

if TYPE_CHECKING:
    from playwright.async_api import Browser

CONF = Path(__file__).parents[2] / "conf" / "nginx.conf"
HOST = "realtime.example.org"
#: Begins two sessions, and leaves a connect of each to be held.
TWO_POLLS = """async (url) => {
    const ask = async (message) => {
        const headers = {"Content-Type": "application/json"};
        const response = await fetch(url, {method: "POST", headers, body: JSON.stringify([message])});
        return (await response.json())[0];
    };
    const types = {version: "1.0", supportedConnectionTypes: ["long-polling"]};
    for (const _ of [1, 2]) {
        const {clientId} = await ask({channel: "/meta/handshake", ...types});
        const connect = () => ask({channel: "/meta/connect", connectionType: "long-polling", clientId});
        await connect();
        connect();
    }
}"""


class Proxied:
    """Our server behind nginx.

    Attributes:
        server: What nginx passes on to.
        url: Of the Bayeux mount, through nginx.
        http: Trusts nginx's certificate.
        access_log: What nginx logged.
    """

    def __init__(self, server: LocalServer, base: str, http: aiohttp.ClientSession, access_log: Path) -> None:
        self.server = server
        self.base = base
        self.url = base + "/bayeux"
        self.http = http
        self.access_log = access_log


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``realtime.pem`` and ``realtime.key``, for loopback."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    (folder / "realtime.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "realtime.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return folder


@pytest.fixture
async def proxied(nginx: Callable[[str], Nginx], certificate: Path, tmp_path: Path) -> AsyncIterator[Proxied]:
    sections = {"server": {"trusted_proxies": ["127.0.0.1"]}, "log": {"requests": True}}
    async with local_server(sections, clock=ManualClock()) as server:
        access_log = tmp_path / "access.log"
        places = {
            "127.0.0.1:8000": server.base.removeprefix("http://"),
            "listen 443 ": "listen 127.0.0.1:{port} ",
            HOST: "localhost",
            "/etc/ssl/": f"{certificate}/",
            "/var/log/nginx/bayeux.log": str(access_log),
        }
        site = CONF.read_text()
        for there, here in places.items():
            assert there in site
            site = site.replace(there, here)
        front = await asyncio.to_thread(nginx, site)
        trust = ssl.create_default_context(cafile=certificate / "realtime.pem")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as http:
            yield Proxied(server, f"https://localhost:{front.port}", http, access_log)


class TestThroughNginx:
    async def test_a_websocket(self, proxied: Proxied) -> None:
        await _delivers(proxied, WebSocketPeer(proxied.http, proxied.url))

    async def test_an_event_stream_is_not_buffered(self, proxied: Proxied) -> None:
        await _delivers(proxied, EventSourcePeer(proxied.http, proxied.url))

    async def test_a_held_poll_is_answered_when_the_event_comes(self, proxied: Proxied) -> None:
        client = await Client(LongPollingPeer(proxied.http, proxied.url)).begin()
        await client.subscribe("/news")
        held = client.hold()
        (session,) = proxied.server.app.server.core.sessions
        await _until(lambda: session.held is not None)
        await proxied.server.app.server.publish("/news", {"n": 1})
        assert (await held)["successful"]
        assert (await client.event())["data"] == {"n": 1}
        await client.disconnect()

    async def test_a_poll_is_held_to_its_end(self, proxied: Proxied) -> None:
        client = await Client(LongPollingPeer(proxied.http, proxied.url)).begin()
        held = client.hold()
        (session,) = proxied.server.app.server.core.sessions
        await _until(lambda: session.held is not None)
        proxied.server.advance(proxied.server.app.settings.connect.hold_timeout_ms / 1_000)
        assert (await held)["successful"]
        await client.disconnect()

    async def test_all_polls_of_a_browser_are_held_for_they_share_a_connection(
        self, proxied: Proxied, browser: "Browser"
    ) -> None:
        context = await browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        await page.goto(proxied.base + "/healthz")
        await page.evaluate(TWO_POLLS, proxied.url)
        sessions = list(proxied.server.app.server.core.sessions)
        await _until(lambda: [session.held is not None for session in sessions] == [True, True])
        await context.close()

    async def test_the_server_sees_the_clients_address_and_not_one_it_made_up(self, proxied: Proxied) -> None:
        peer = LongPollingPeer(proxied.http, proxied.url, {"X-Forwarded-For": "203.0.113.7"})
        client = await Client(peer).begin()
        (session,) = proxied.server.app.server.core.sessions
        assert session.address == "127.0.0.1"
        await client.disconnect()

    async def test_pages_of_the_same_origin_are_recognised(self, proxied: Proxied) -> None:
        headers = {"Origin": proxied.base}
        reply = await Client(LongPollingPeer(proxied.http, proxied.url, headers)).handshake()
        assert reply["successful"]

    async def test_pages_of_another_are_refused(self, proxied: Proxied) -> None:
        async with proxied.http.post(proxied.url, json=[], headers={"Origin": "https://evil.example"}) as response:
            assert response.status == 403

    async def test_the_secrets_in_addresses_are_in_no_log(self, proxied: Proxied) -> None:
        client = Client(EventSourcePeer(proxied.http, proxied.url))
        await client.begin()
        await client.disconnect()
        await client.peer.close()
        async with proxied.http.get(proxied.url, params={"message": "[]", "jsonp": "s3cr3t"}) as response:
            assert response.status == 400
        await _until(lambda: proxied.access_log.read_text().count("/bayeux") >= 5)
        log = proxied.access_log.read_text()
        assert client.id is not None
        assert client.id not in log
        assert "s3cr3t" not in log

    async def test_metrics_are_there_for_this_machine(self, proxied: Proxied) -> None:
        async with proxied.http.get(proxied.base + "/metrics") as response:
            assert response.status == 200

    async def test_a_message_as_long_as_the_server_takes_passes(self, proxied: Proxied) -> None:
        client = await Client(LongPollingPeer(proxied.http, proxied.url)).begin()
        text = "x" * (proxied.server.app.settings.limits.max_body_bytes - 200)
        assert (await client.publish("/big", text))["successful"]
        await client.disconnect()

    async def test_one_request_has_one_id_on_both_sides(self, proxied: Proxied) -> None:
        async with proxied.http.get(proxied.base + "/healthz") as response:
            request_id = response.headers["X-Request-ID"]
        await _until(lambda: request_id in proxied.access_log.read_text())


async def _delivers(proxied: Proxied, peer: Peer) -> None:
    client = await Client(peer).begin()
    held = client.hold()
    await client.subscribe("/news")
    for number in range(3):
        await proxied.server.app.server.publish("/news", {"n": number})
        assert (await client.event())["data"] == {"n": number}
    await client.disconnect()
    await asyncio.wait([held])
    await peer.close()


async def _until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something has happened on another connection; nothing tells of it here."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what happens in nginx sets no event of ours
            await asyncio.sleep(0.001)

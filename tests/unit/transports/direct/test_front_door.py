"""What goes the short road, and that everything else reaches aiohttp as it came."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bayeux_server.app import BayeuxApp
from bayeux_server.protocol.messages import Message
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from bayeux_server.transports.direct.front_door import KEEP_ALIVE_S, Doorway, FrontDoor
from bayeux_server.transports.websocket_connection import WebSocketConnection
from tests.support.manual_clock import ManualClock
from tests.support.server import ALLOWED_ORIGIN, make_settings

HANDSHAKE = b'[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"id":"1"}]'
JSON = b"application/json"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def post(body: bytes = HANDSHAKE, *headers: bytes, target: bytes = b"/bayeux", kind: bytes = JSON) -> bytes:
    lines = [b"POST %b HTTP/1.1" % target, b"Host: a.example", b"Content-Type: " + kind, *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def upgrade(*headers: bytes, key: bytes = KEY) -> bytes:
    lines = [b"GET /bayeux HTTP/1.1", b"Host: a.example", b"Upgrade: websocket", b"Connection: keep-alive, Upgrade"]
    return b"\r\n".join([*lines, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + key, *headers, b"", b""])


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.protocol: asyncio.BaseProtocol | None = None
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 4_711) if name == "peername" else default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Http(asyncio.Protocol):
    """Stands where aiohttp's protocol does."""

    def __init__(self) -> None:
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data


class Street:
    """A doorway and one connection to it."""

    def __init__(self, app: BayeuxApp, clock: ManualClock) -> None:
        self.app = app
        self.clock = clock
        self.http: Http | None = None
        self.transport = FakeTransport()
        self.door: FrontDoor = Doorway(app.context, "/bayeux", self._make_http, app.requests)()
        self.door.connection_made(self.transport)

    def _make_http(self) -> Http:
        self.http = Http()
        return self.http

    def answer(self) -> tuple[bytes, list[dict[str, Any]]]:
        """Return the head and the messages of the response written since the last call."""
        self.app.server.core.flush.run()
        head, _, body = self.transport.written.partition(b"\r\n\r\n")
        self.transport.written = b""
        return head, json.loads(body)

    def begin_session(self) -> str:
        """Shake hands and connect once; returns the clientId."""
        self.door.data_received(post())
        client_id: str = self.answer()[1][0]["clientId"]
        self.connect(client_id)
        self.answer()
        return client_id

    def connect(self, client_id: str, id_: int = 2) -> None:
        message = {"channel": "/meta/connect", "clientId": client_id, "connectionType": "long-polling", "id": id_}
        self.door.data_received(post(json.dumps([message]).encode()))


class _Waiting(Extension):
    """Lets messages pass once its gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.has_passed = False

    async def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        await self.gate.wait()
        self.has_passed = True


@pytest.fixture
async def street() -> AsyncIterator[Street]:
    clock = ManualClock()
    app = BayeuxApp(make_settings({"limits": {"max_body_bytes": 2_000}}), clock=clock)
    await app.server.start()
    clock.on_advance.append(lambda: app.server.core.timers.run_due(clock.now()))
    yield Street(app, clock)
    await app.server.stop()


class TestShortRoad:
    @pytest.mark.parametrize(
        "request_",
        [
            post(),
            post(target=b"/bayeux/handshake"),
            post(HANDSHAKE, b"Origin: http://a.example"),
            post(HANDSHAKE, b"Referer: https://a.example/page", b"Cookie: x=1; BAYEUX_BROWSER=abc-_9; y=2"),
        ],
        ids=["plain", "below the mount", "same origin", "cookie and referer"],
    )
    async def test_a_plain_post_is_answered_without_aiohttp(self, street: Street, request_: bytes) -> None:
        street.door.data_received(request_)
        head, [reply] = street.answer()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert reply["successful"] is True
        assert street.http is None

    async def test_a_form_is_the_cross_origin_transport(self, street: Street) -> None:
        street.door.data_received(post(b"message=" + HANDSHAKE.replace(b'"', b"%22"), kind=b"text/plain"))
        assert street.answer()[1][0]["successful"] is True
        [session] = street.app.server.core.sessions
        assert session.transport == "cross-origin-long-polling"

    async def test_the_cookie_is_offered_once(self, street: Street) -> None:
        street.door.data_received(post())
        assert b"Set-Cookie: BAYEUX_BROWSER=" in street.answer()[0]
        street.door.data_received(post(HANDSHAKE, b"Cookie: BAYEUX_BROWSER=abc"))
        assert b"Set-Cookie" not in street.answer()[0]

    async def test_who_has_no_cookie_is_offered_another_with_each_request(self, street: Street) -> None:
        offered = set()
        for _ in range(2):  # of one head: behind a proxy, the second may be another's
            street.door.data_received(post())
            offered.add(street.answer()[0].partition(b"Set-Cookie: ")[2].partition(b";")[0])
        assert len(offered) == 2

    @pytest.mark.parametrize("id_", [b"2", b"22"], ids=["as long", "longer"])
    async def test_each_request_is_answered_by_its_own_body(self, street: Street, id_: bytes) -> None:
        street.door.data_received(post())
        street.answer()
        street.door.data_received(post(HANDSHAKE.replace(b'"1"', id_ + b" " * (3 - len(id_)))))
        assert street.answer()[1][0]["id"] == int(id_)
        street.door.data_received(post(HANDSHAKE.replace(b'"1"', id_)))
        assert street.answer()[1][0]["id"] == int(id_)
        assert street.http is None

    async def test_the_request_keeps_the_id_a_proxy_gave_it(self, street: Street) -> None:
        street.door.data_received(post(HANDSHAKE, b"X-Request-ID: from-proxy.1"))
        assert b"X-Request-ID: from-proxy.1\r\n" in street.answer()[0]

    async def test_a_websocket_opens_and_gets_what_came_behind(self, street: Street) -> None:
        street.door.data_received(upgrade() + b"\x81\x82\x00\x00\x00\x00[]")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in street.transport.written
        assert isinstance(street.transport.protocol, WebSocketConnection)
        street.app.server.core.flush.run()
        assert street.transport.written.endswith(b"\x81\x02[]")
        street.transport.protocol.connection_lost(None)

    async def test_a_page_of_the_allow_list_may_open_a_websocket(self, street: Street) -> None:
        street.door.data_received(upgrade(b"Origin: " + ALLOWED_ORIGIN.encode()))
        assert isinstance(street.transport.protocol, WebSocketConnection)
        street.transport.protocol.connection_lost(None)


class TestAiohttpsRoad:
    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"GET /bayeux?message=%5B%5D HTTP/1.1\r\nHost: a.example\r\n\r\n",
            post(target=b"/bayeuxx"),
            post(target=b"/bayeux?a=b"),
            post(HANDSHAKE, b"Origin: http://b.example"),
            post(HANDSHAKE, b"Origin: null"),
            post(HANDSHAKE, b"Referer: http://a.example.evil/"),
            post(HANDSHAKE, b"Sec-Fetch-Site: cross-site"),
            post(HANDSHAKE, b"Authorization: Bearer abc"),
            post(HANDSHAKE, b"Content-Encoding: gzip"),
            post(HANDSHAKE, b"Expect: 100-continue"),
            post(HANDSHAKE, b"Connection: close"),
            post(HANDSHAKE, b"Cookie: BAYEUX_BROWSER=a b"),
            post(HANDSHAKE, b"Host: b.example"),
            post().replace(b"Host: a.example\r\n", b""),
            post().replace(b"HTTP/1.1", b"HTTP/1.0"),
            b"POST /bayeux HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
            post() + post(),
            post()[:-1],
            post()[:10],
            post(b""),
            post(b"[" + b" " * 2_000),
            post(HANDSHAKE, b"X-Filler: " + b"a" * 9_000),
            b"\x16\x03\x01 no HTTP at all",
            upgrade(key=b"c2hvcnQ="),
            upgrade().replace(b": 13", b": 8"),
            upgrade(b"Origin: http://b.example"),
            upgrade().replace(b"websocket", b"h2c"),
        ],
    )
    async def test_everything_else_is_given_to_aiohttp_byte_for_byte(self, street: Street, data: bytes) -> None:
        street.door.data_received(data)
        assert street.http is not None
        assert street.transport.protocol is street.http
        assert street.http.received == data
        assert street.transport.written == b""

    @pytest.mark.parametrize("header", [b"Origin: http://b.example", b"Authorization: Bearer a"])
    async def test_a_second_request_is_looked_at_anew_if_its_head_is_another(
        self, street: Street, header: bytes
    ) -> None:
        filler = b"X-Filler: " + b"a" * (len(header) - len(b"X-Filler: "))
        street.door.data_received(post(HANDSHAKE, filler))
        street.answer()
        street.door.data_received(post(HANDSHAKE, header))
        assert street.http is not None
        assert street.http.received == post(HANDSHAKE, header)


class TestConnection:
    async def test_a_connect_is_held_and_answered_when_its_time_is_up(self, street: Street) -> None:
        client_id = street.begin_session()
        street.connect(client_id)
        assert street.transport.written == b""
        street.clock.advance(25)
        assert street.answer()[1][0]["successful"] is True

    async def test_a_request_behind_a_held_one_waits_for_its_answer(self, street: Street) -> None:
        client_id = street.begin_session()
        street.connect(client_id, 3)
        street.connect(client_id, 4)
        assert street.transport.written == b""
        street.clock.advance(25)
        assert street.answer()[1][0]["id"] == 3
        street.clock.advance(25)
        assert street.answer()[1][0]["id"] == 4

    async def test_a_connect_whose_connection_goes_while_an_extension_waits_is_not_held(self, street: Street) -> None:
        client_id = street.begin_session()
        extension = _Waiting()
        street.app.server.add_extension(extension)
        street.connect(client_id)
        street.door.connection_lost(None)
        extension.gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        session = street.app.server.core.sessions.get(client_id)
        assert session is not None
        assert extension.has_passed
        assert session.held is None

    async def test_events_that_meet_a_cut_connection_wait(self, street: Street) -> None:
        client_id = street.begin_session()
        session = street.app.server.core.sessions.get(client_id)
        assert session is not None
        subscribe = {"channel": "/meta/subscribe", "clientId": client_id, "subscription": "/a", "id": 3}
        street.door.data_received(post(json.dumps([subscribe]).encode()))
        street.answer()
        street.connect(client_id)
        street.transport.is_closed = True
        await street.app.server.publish("/a", 1)
        street.app.server.core.flush.run()
        street.door.connection_lost(None)
        assert [delivery.data for delivery in session.queue] == [b"1"]

    async def test_events_a_peer_does_not_take_wait_once_it_is_given_up(self, street: Street) -> None:
        client_id = street.begin_session()
        session = street.app.server.core.sessions.get(client_id)
        assert session is not None
        street.app.server.core.channels.subscribe(session, street.app.server.core.grammar.parse("/a"))
        street.connect(client_id)
        street.transport.write = lambda data: street.door.pause_writing()  # type: ignore[method-assign]
        await street.app.server.publish("/a", 1)
        street.app.server.core.flush.run()
        street.clock.advance(street.app.context.settings.write_timeout_s)
        assert street.transport.is_closed
        street.door.connection_lost(ConnectionResetError())
        assert [delivery.data for delivery in session.queue] == [b"1"]

    async def test_one_that_says_nothing_is_closed_in_the_end(self, street: Street) -> None:
        street.clock.advance(KEEP_ALIVE_S)
        assert street.transport.is_closed

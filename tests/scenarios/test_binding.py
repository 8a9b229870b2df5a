"""Whose session it is, in each mode of binding, and what the cookie looks like."""

import aiohttp
import pytest

from bayeux_server.server.identity import Identity
from bayeux_server.transports import liveness
from tests.conformance.http import SHAKE
from tests.conformance.world import World
from tests.scenarios.conftest import Scene
from tests.support.client import PATIENCE_S, PEERS, Client
from tests.support.server import LocalServer

STRICT = {"session_binding": "strict"}


async def _tokens_are_users(server: LocalServer) -> None:
    async def read(token: str) -> Identity | None:
        return Identity(token)

    server.app._token_readers.append(read)


def _as_user(world: World, user: str, transport: str = "long-polling") -> Client:
    peer = PEERS[transport](world.http, world.target.url, {"Authorization": f"Bearer {user}"})
    return Client(peer)


async def _begin(socket: aiohttp.ClientWebSocketResponse) -> str:
    """Shake hands and connect once on a bare socket; return the clientId."""
    await socket.send_json([SHAKE])
    [shaken] = await socket.receive_json(timeout=PATIENCE_S)
    client_id: str = shaken["clientId"]
    await socket.send_json([{"channel": "/meta/connect", "connectionType": "websocket", "clientId": client_id}])
    await socket.receive_json(timeout=PATIENCE_S)
    return client_id


class TestOff:
    async def test_client_id_is_enough(self, scene: Scene) -> None:
        async with scene("websocket", security={"session_binding": "off"}) as (_, world):
            owner = await world.session()
            other = world.client("long-polling")
            other.id = owner.id
            assert (await other.subscribe("/a"))["successful"] is True


class TestAdaptive:
    async def test_session_of_a_user_is_no_other_user_s(self, scene: Scene) -> None:
        async with scene("long-polling") as (server, world):
            await _tokens_are_users(server)
            owner = await _as_user(world, "alice").begin()
            thief, herself = _as_user(world, "mallory"), _as_user(world, "alice")
            thief.id = herself.id = owner.id
            assert (await thief.subscribe("/a"))["error"] == "402::session_unknown"
            assert (await herself.subscribe("/a"))["successful"] is True

    async def test_user_may_take_her_session_from_a_live_socket(self, scene: Scene) -> None:
        async with scene() as (server, world):
            await _tokens_are_users(server)
            owner = _as_user(world, "alice", "websocket")
            await owner.begin()
            herself = _as_user(world, "alice")
            herself.id = owner.id
            assert (await herself.connect(advice={"timeout": 0}))["successful"] is True
            await owner.peer.close()

    async def test_socket_that_answers_no_ping_keeps_its_session_from_nobody(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(liveness, "ALIVE_TIMEOUT_S", 0.05)
        async with scene() as (_, world):
            socket = await world.socket(autoping=False)
            other = world.client("long-polling")
            other.id = await _begin(socket)
            assert (await other.connect(advice={"timeout": 0}))["successful"] is True
            assert (await socket.receive(PATIENCE_S)).type is aiohttp.WSMsgType.PING

    async def test_socket_that_closes_while_it_is_asked_keeps_its_session_from_nobody(self, scene: Scene) -> None:
        async with scene() as (_, world):
            socket = await world.socket(autoping=False)
            other = world.client("long-polling")
            other.id = await _begin(socket)
            resumed = world.hold(other, advice={"timeout": 0})
            assert (await socket.receive(PATIENCE_S)).type is aiohttp.WSMsgType.PING
            await socket.close()
            assert (await resumed)["successful"] is True

    async def test_cookie_of_any_bytes_is_only_a_wrong_one(self, scene: Scene) -> None:
        async with scene("long-polling") as (_, world):
            browser = await world.browser()
            await world.client(http=browser).handshake()
            owner = await world.session(http=browser)
            message = {"channel": "/meta/connect", "connectionType": "long-polling", "clientId": owner.id, "id": "1"}
            response = await world.post([message], Cookie="BAYEUX_BROWSER=\udcff\u00e9")
            assert (await response.json())[0]["error"] == "402::session_unknown"

    async def test_socket_opened_before_the_cookie_hops_to_polling_with_either_cookie(self, scene: Scene) -> None:
        for seconds in (False, True):
            async with scene() as (_, world):
                # Two requests without a cookie at the same moment: each is given one.
                socket = world.websocket()
                upgrade = await socket.open()
                shaken = await world.post([SHAKE])
                client_id = (await shaken.json())[0]["clientId"]
                cookies = [upgrade._response.cookies, shaken.cookies]
                await Client(socket, client_id).connect(advice={"timeout": 0})
                kept = cookies[seconds]["BAYEUX_BROWSER"].value
                connect = {"channel": "/meta/connect", "connectionType": "long-polling", "clientId": client_id}
                connect["advice"] = {"timeout": 0}
                response = await world.post([connect], Cookie=f"BAYEUX_BROWSER={kept}")
                assert (await response.json())[0]["successful"] is True


class TestStrict:
    async def test_client_without_a_second_secret_gets_nowhere(self, scene: Scene) -> None:
        async with scene("long-polling", security=STRICT) as (_, world):
            client = world.client()
            await client.handshake()
            assert (await client.connect())["error"] == "402::session_unknown"

    async def test_cookie_of_the_handshake_is_enough(self, scene: Scene) -> None:
        async with scene("long-polling", security=STRICT) as (_, world):
            await world.session(http=await world.browser())

    async def test_socket_of_the_handshake_is_enough(self, scene: Scene) -> None:
        async with scene("websocket", security=STRICT) as (_, world):
            await world.session()

    async def test_resume_token_is_enough_and_another_is_not(self, scene: Scene) -> None:
        async with scene("long-polling", security=STRICT) as (_, world):
            client = world.client()
            token = (await client.handshake())["ext"]["resume"]
            assert (await client.subscribe("/a", ext={"resume": token}))["successful"] is True
            assert (await client.subscribe("/a", ext={"resume": token + "x"}))["error"] == "402::session_unknown"

    async def test_same_user_is_enough_and_another_is_not(self, scene: Scene) -> None:
        async with scene("long-polling", security=STRICT) as (server, world):
            await _tokens_are_users(server)
            owner = await _as_user(world, "alice").begin()
            thief = _as_user(world, "mallory")
            thief.id = owner.id
            assert (await thief.connect())["error"] == "402::session_unknown"

    async def test_live_socket_elsewhere_is_not_asked(self, scene: Scene) -> None:
        async with scene("websocket", security=STRICT) as (_, world):
            owner = await world.session()
            await owner.peer.close()
            again = world.client("websocket")
            again.id = owner.id
            assert (await again.connect())["error"] == "402::session_unknown"


class TestCookie:
    async def test_for_pages_on_other_sites_is_partitioned(self, scene: Scene) -> None:
        async with scene(security={"cross_site_cookie": True}) as (_, world):
            [cookie] = (await world.post([SHAKE])).headers.getall("Set-Cookie")
        attributes = {part.strip() for part in cookie.split(";")[1:]}
        assert attributes == {"HttpOnly", "Path=/", "SameSite=None", "Secure", "Partitioned"}

    @pytest.mark.parametrize("transport", ["long-polling", "callback-polling"])
    async def test_is_long_enough(self, scene: Scene, transport: str) -> None:
        async with scene(transport) as (_, world):
            browser = await world.browser()
            await world.client(http=browser).handshake()
            [cookie] = browser.cookie_jar
        assert len(cookie.value) >= 22

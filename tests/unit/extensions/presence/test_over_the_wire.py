"""Presence over real connections: tokens at the handshake, sockets and polls that break."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from channels.presence.events import iso
from channels.presence.model import to_ms
from tests.support.client import PEERS, Client, Message
from tests.support.manual_clock import ManualClock
from tests.support.server import LocalServer, local_server
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey

KEY = SigningKey("k1")
SECTIONS: dict[str, Any] = {
    "security": {"session_binding": "off"},
    "extensions": {
        "authentication": {
            "issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE], "keys": [{"kid": "k1", "pem": KEY.pem}]}]
        },
        "presence": {},
    },
}


class Page:
    """A person with a task open, on one transport."""

    def __init__(self, http: aiohttp.ClientSession, server: LocalServer, transport: str) -> None:
        self._server = server
        self.client = Client(PEERS[transport](http, server.url))

    async def open(self, user_id: str, name: str) -> None:
        """Shake hands as somebody, subscribe to the task and join it."""
        wall_s = self._server.app.server.core.clock.wall()
        token = KEY.token(user_id, name=name, iat=wall_s, exp=wall_s + 600)
        reply = await self.client.handshake(ext={"auth": {"token": token}})
        assert reply["successful"], reply
        assert (await self.client.connect())["successful"]
        assert (await self.client.subscribe("/task/task_1"))["successful"]
        await self.tell("presence.user_joined", state="viewing")

    async def tell(self, kind: str, **fields: object) -> None:
        """Send a message about presence."""
        data = {"type": kind, "task_id": "task_1", **fields}
        assert (await self.client.publish("/service/presence", data))["successful"]

    async def hears(self) -> Message:
        """Return the next event of the task, skipping answers to calls."""
        while True:
            event = await self.client.event()
            if event["channel"] == "/task/task_1":
                data: Message = event["data"]
                return data


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with local_server(SECTIONS, clock=ManualClock()) as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield http


@pytest.fixture(params=["websocket", "eventsource", "long-polling"])
async def pages(
    request: pytest.FixtureRequest, http: aiohttp.ClientSession, server: LocalServer
) -> AsyncIterator[tuple[Page, Page]]:
    """Sarah and Mike on the same task, each having heard all that was told so far."""
    sarah, mike = Page(http, server, request.param), Page(http, server, request.param)
    await sarah.open("cc_456", "Sarah Johnson")
    await mike.open("cc_789", "Mike Chen")
    server.advance(0.2)
    for page in (sarah, mike):
        assert [(await page.hears())["type"] for _ in range(3)] == [
            "presence.snapshot", "presence.user_joined", "presence.user_joined",
        ]  # fmt: skip
    yield sarah, mike
    await sarah.client.peer.close()
    await mike.client.peer.close()


async def pass_seconds(server: LocalServer, seconds: int, *alive: Page) -> None:
    """Let time pass a second at a time; those alive send something each second."""
    for _ in range(seconds):
        server.advance(1.0)
        for page in alive:
            await page.tell("presence.heartbeat")


async def lose(server: LocalServer, lost: Page, other: Page) -> None:
    """Break a page's connection, and wait until the server has seen it."""
    await lost.client.peer.close()
    session = server.app.server.core.sessions.get(lost.client.id)
    assert session is not None
    while session.pipe is not None or session.held is not None:
        await other.tell("presence.heartbeat")


class TestOverTheWire:
    async def test_each_sees_the_other_type_and_leave(self, server: LocalServer, pages: tuple[Page, Page]) -> None:
        sarah, mike = pages
        await sarah.tell("presence.typing", field_name="notes")
        server.advance(0.2)
        changed, typing = await mike.hears(), await mike.hears()
        assert (changed["old_state"], changed["new_state"]) == ("viewing", "typing")
        assert (typing["type"], typing["user_id"], typing["field_name"]) == ("presence.typing", "cc_456", "notes")
        await sarah.client.disconnect()
        server.advance(0.2)
        left = await mike.hears()
        assert (left["type"], left["user_id"]) == ("presence.user_left", "cc_456")
        assert left["version"] == changed["version"] + 2

    async def test_an_outage_within_the_grace_time_is_not_noticed(
        self, server: LocalServer, pages: tuple[Page, Page], http: aiohttp.ClientSession
    ) -> None:
        sarah, mike = pages
        await lose(server, sarah, mike)
        await pass_seconds(server, 11, mike)
        back = Page(http, server, sarah.client.peer.transport)
        back.client.id = sarah.client.id
        await back.client.peer.bound(back.client.id or "")
        await back.client.connect(advice={"timeout": 0})
        await pass_seconds(server, 20, mike, back)
        await mike.tell("presence.state_changed", new_state="editing")
        server.advance(0.2)
        assert (await mike.hears())["user_id"] == "cc_789"
        await back.client.peer.close()

    async def test_an_outage_beyond_the_grace_time_is_one_leave(
        self, server: LocalServer, pages: tuple[Page, Page]
    ) -> None:
        sarah, mike = pages
        await lose(server, sarah, mike)
        lost_ms = to_ms(server.app.server.core.clock.wall())
        await pass_seconds(server, 16, mike)
        left = await mike.hears()
        assert (left["type"], left["user_id"]) == ("presence.user_left", "cc_456")
        assert left["timestamp"] == iso(lost_ms + 12_000)
        await mike.tell("presence.state_changed", new_state="editing")
        server.advance(0.2)
        changed = await mike.hears()
        assert (changed["type"], changed["version"]) == ("presence.state_changed", left["version"] + 1)


class TestInRedis:
    async def test_two_servers_share_presence_and_locks(self, redis_url: str, http: aiohttp.ClientSession) -> None:
        """Whichever server looks first tells what one of them found: the broker is shared as the stores are."""
        presence = {"store": "redis", "redis_url": redis_url, "window_ms": 0}
        sections = {
            **SECTIONS,
            "backend": {"broker": "redis", "redis_url": redis_url},
            "extensions": {**SECTIONS["extensions"], "presence": presence},
        }
        async with local_server(sections) as one, local_server(sections) as other:
            sarah, mike = Page(http, one, "websocket"), Page(http, other, "websocket")
            await sarah.open("cc_456", "Sarah Johnson")
            first = await sarah.hears()
            assert (first["type"], first["users"]) == ("presence.snapshot", [])
            assert (await sarah.hears())["user"]["user_id"] == "cc_456"
            await sarah.tell("lock.acquire", field_name="notes")
            while (await sarah.hears())["type"] != "presence.field_locked":
                pass
            await mike.open("cc_789", "Mike Chen")
            snapshot = await mike.hears()
            assert [(user["user_id"], user["locked_fields"]) for user in snapshot["users"]] == [("cc_456", ["notes"])]
            assert snapshot["locks"][0]["user_name"] == "Sarah Johnson"
            while (await sarah.hears())["type"] != "presence.user_joined":
                pass
            for page in (sarah, mike):
                await page.client.peer.close()

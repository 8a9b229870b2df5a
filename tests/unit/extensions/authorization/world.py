"""A whole server with authentication, authorization and audit, a small clinic, and people who speak long-polling."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bayeux_server.app import BayeuxApp
from bayeux_server.serving import listening
from extensions.audit import AUDITOR
from extensions.audit.segments import segment_paths
from extensions.authorization import DECISIONS, RELATIONS
from extensions.authorization.extension import AuthorizationExtension
from tests.contracts.permission_checker import CLINIC
from tests.support.manual_clock import ManualClock
from tests.support.relations import MemoryRelations, delete
from tests.support.server import make_settings
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey

KEY = SigningKey("k1")
TASK = {"id": "1", "title": "Contact member", "notes": "Left voicemail", "member_id": "A1", "status": "pending"}
UPDATED = {
    "event_id": "e1",
    "type": "task.updated",
    "task_id": "1",
    "version": 2,
    "task": TASK,
    "changed_fields": ["notes"],
    "changed_by": {"user_id": "sarah", "user_name": "Sarah", "user_role": "care_coordinator"},
    "timestamp": "2025-11-13T10:30:00.000Z",
}


class Page:
    """One session of one person."""

    def __init__(self, world: "World", client_id: str) -> None:
        self._world = world
        self._client_id = client_id
        self._connect: dict[str, Any] = {
            "channel": "/meta/connect",
            "clientId": client_id,
            "connectionType": "long-polling",
        }

    async def subscribe(self, *channels: str, **ext: object) -> str | None:
        """Subscribe; return the error, None if there is none."""
        message: dict[str, Any] = {"channel": "/meta/subscribe", "clientId": self._client_id, "subscription": channels}
        reply = (await self._world.send({**message, "ext": ext} if ext else message))[0]
        return None if reply["successful"] else str(reply["error"])

    async def publish(self, channel: str, data: object) -> str | None:
        """Publish; return the error, None if there is none."""
        reply = (await self._world.send({"channel": channel, "clientId": self._client_id, "data": data}))[0]
        return None if reply["successful"] else str(reply["error"])

    async def call(self, channel: str, data: object) -> dict[str, Any]:
        """Call a service; return its answer."""
        await self._world.send({"channel": channel, "clientId": self._client_id, "id": "call", "data": data})
        async with asyncio.timeout(20):
            while True:
                for reply in await self._world.send(self._connect):
                    if reply["channel"] == channel:
                        return reply

    async def events(self, *, wait: bool = False) -> list[dict[str, Any]]:
        """Connect once, and return what waited; with ``wait``, what comes."""
        async with asyncio.timeout(20):
            replies = await self._world.send(self._connect if wait else {**self._connect, "advice": {"timeout": 0}})
        return [reply["data"] for reply in replies if "data" in reply]


class World:
    """The server and its surroundings."""

    def __init__(self, app: BayeuxApp, url: str, http: aiohttp.ClientSession, relations: MemoryRelations) -> None:
        self.app = app
        self.server = app.server
        self.relations = relations
        self.decisions = app.web[DECISIONS]
        self.auditor = app.web[AUDITOR]
        self._enforced = asyncio.Event()
        self._watch_revocations()
        self._url = url
        self._http = http

    def _watch_revocations(self) -> None:
        (extension,) = [each for each in self.server.core.hooks.extensions if isinstance(each, AuthorizationExtension)]
        revocations = extension.revocations
        enforced = revocations.on_enforced

        def hear(*pair: str) -> None:
            enforced(*pair)
            self._enforced.set()

        revocations.on_enforced = hear

    async def revoke(self, *relations: str) -> None:
        """Take relations out, and return once that was enforced against somebody."""
        self._enforced.clear()
        await self.relations.write(delete(*relations))
        async with asyncio.timeout(20):
            await self._enforced.wait()

    async def send(self, *messages: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Post messages, return replies and events."""
        async with self._http.post(self._url, json=list(messages)) as response:
            replies: list[dict[str, Any]] = await response.json()
            return replies

    async def page(self, user_id: str | None, *roles: str) -> Page:
        """Return a new session of a user, or an anonymous one."""
        message: dict[str, Any] = {
            "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]
        }  # fmt: skip
        if user_id is not None:
            message["ext"] = {"auth": {"token": KEY.token(user_id, roles=list(roles or ("care_coordinator",)))}}
        page = Page(self, (await self.send(message))[0]["clientId"])
        await page.events()
        return page

    async def publish(self, channel: str, event: Mapping[str, Any]) -> None:
        """Publish as the server."""
        await self.server.publish(channel, json.dumps(event).encode())


@asynccontextmanager
async def world(folder: Path, *, presence: bool = False, **authorization: object) -> AsyncIterator[World]:
    """Run it, with ``authorization`` as its section of the configuration."""
    trusted = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "roles": ["care_coordinator", "rsa", "system"],
        "keys": [{"kid": "k1", "pem": KEY.pem}],
    }
    extensions = {
        "authentication": {"issuers": [trusted]},
        "audit": {"folder": str(folder), "node": "n1"},
        **({"presence": {}} if presence else {}),
        "authorization": authorization,
    }
    relations = MemoryRelations()
    await relations.write(CLINIC)
    app = BayeuxApp(make_settings({"extensions": extensions}), clock=ManualClock())
    app.web[RELATIONS] = relations
    async with listening(app, "127.0.0.1", 0) as address, aiohttp.ClientSession() as http:
        yield World(app, f"{address}/bayeux", http, relations)


def audited(folder: Path) -> list[dict[str, Any]]:
    """Return the audit events on the disk."""
    return [
        json.loads(line)["event"] for path in segment_paths(folder / "n1") for line in path.read_bytes().splitlines()
    ]

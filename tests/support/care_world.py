"""The whole care layer on a running server: everything that production has, embedded, and a small clinic in it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from bayeux_server.protocol.messages import Publication
from channels.relations import Operation
from channels.services.caller import Question
from channels.services.commits import commit_of_member
from channels.stores.port import CareStore
from channels.stores.records import Commit, Team
from channels.subjects import Member
from channels.tasks.model import SYSTEM, User
from extensions.authorization import DECISIONS
from extensions.care import STORE
from tests.support.client import PEERS, Client, Message
from tests.support.manual_clock import ManualClock
from tests.support.relations import relation
from tests.support.server import LocalServer, local_server
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey

KEY = SigningKey("k1")

SARAH = User("cc_sarah", "Sarah Johnson", "care_coordinator")
MIKE = User("cc_mike", "Mike Chen", "care_coordinator")
RITA = User("rsa_rita", "Rita Stone", "rsa")
EVE = User("cc_eve", "Eve Other", "care_coordinator")
SERVICE = User("careflow", "CareFlow Automation", "system")
PEOPLE = (SARAH, MIKE, RITA, EVE, SERVICE)

EAST = "team_east"
JOHN = Member(id="A100001", name="John Doe", team_id=EAST)
#: Sarah and Mike care for the team's members, Rita supports it, Eve belongs to another.
RELATIONS = (
    f"team:{EAST}#care_coordinator@user:{SARAH.user_id}",
    f"team:{EAST}#care_coordinator@user:{MIKE.user_id}",
    f"team:{EAST}#rsa@user:{RITA.user_id}",
    f"team:team_west#care_coordinator@user:{EVE.user_id}",
)


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    body: Any
    headers: Mapping[str, str]


async def found_clinic(store: CareStore) -> None:
    """Put the clinic into an empty store."""
    await store.commit(
        Commit(
            users=(SYSTEM, *PEOPLE),
            teams=(Team(id=EAST, name="East"), Team(id="team_west", name="West")),
            relations=tuple((Operation.TOUCH, relation(text)) for text in RELATIONS),
        )
    )
    await store.commit(commit_of_member(None, JOHN))


def token_of(user: User, **claims: Any) -> str:
    """A good token of a user, with ``claims`` over what is usual."""
    return KEY.token(user.user_id, **{"roles": [user.user_role], "name": user.user_name, **claims})


def care_sections(folder: Path, services: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The configuration; ``services`` has sections that are put over those of extensions, and ``backend``."""
    over = dict(services or {})
    trusted = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "roles": ["care_coordinator", "clinician", "rsa", "system"],
        "keys": [{"kid": KEY.kid, "pem": KEY.pem}],
    }
    extensions: dict[str, dict[str, Any]] = {
        "authentication": {"issuers": [trusted]},
        "acknowledge": {},
        "replay": {},
        "audit": {"folder": str(folder / "audit"), "node": "n1"},
        "presence": {"store": "memory"},
        "care": {"store_url": f"sqlite:///{folder / 'care.sqlite3'}"},
        "authorization": {},
        "careflow": {},
    }
    backend = over.pop("backend", {})
    return {"backend": backend, "extensions": {name: extensions[name] | over.get(name, {}) for name in extensions}}


class CareWorld:
    """A running server, and people who use it."""

    def __init__(self, server: LocalServer, http: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self.server = server
        self.http = http
        self._stack = stack
        self._told: set[str] = set()
        self._telling = asyncio.Event()

    @property
    def store(self) -> CareStore:
        """The store of the server."""
        return self.server.app.web[STORE]

    async def prepare(self) -> None:
        """Put in the clinic."""
        await found_clinic(self.store)
        await self.granted((SARAH.user_id, "view_phi", "member", JOHN.id), (EVE.user_id, "view", "team", "team_west"))

        server = self.server.app.server
        server.local_session("test").subscribe("/activity_feed/*", self._hear)

    def let_pass(self, seconds: float) -> None:
        """Let time pass; on the machine's clock it does so by itself."""
        if self.server.clock is not None:
            self.server.advance(seconds)

    def _token(self, user: User) -> str:
        now_s = int(self.server.app.server.core.clock.wall())
        return token_of(user, iat=now_s, exp=now_s + 600)

    def _hear(self, publication: Publication) -> None:
        self._told.add(json.loads(publication.data)["subject"]["id"])
        self._telling.set()

    async def told_of(self, subject_id: str) -> None:
        """Return when everybody was told that something exists: the feed is told last."""
        async with asyncio.timeout(5):
            while subject_id not in self._told:
                self._telling.clear()
                await self._telling.wait()

    async def granted(self, *questions: Question) -> None:
        """Return when all these are answered by yes: decisions follow the store a moment later."""
        async with asyncio.timeout(5):
            while not all(await self.server.app.web[DECISIONS].answers(questions)):  # noqa: ASYNC110 - no decision announces itself
                await asyncio.sleep(0.001)

    async def ask(
        self, method: str, path: str, user: User | None = SARAH, body: object = None, **headers: str
    ) -> Answer:
        """Send one request; ``If_Match`` and the like become headers. None for a user sends no token."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if user is not None:
            sent.setdefault("Authorization", f"Bearer {self._token(user)}")
        async with self.http.request(method, self.server.base + path, headers=sent, json=body) as response:
            is_json = response.content_type == "application/json"
            return Answer(
                response.status, await response.json() if is_json else await response.text(), response.headers
            )

    async def task(self, **fields: object) -> dict[str, Any]:
        """Create a task of the team as Sarah, and return it when everybody knows of it."""
        body = {"title": "Contact member", "member_id": JOHN.id, "team_id": EAST, **fields}
        answer = await self.ask("POST", "/api/tasks", body=body)
        assert answer.status == 201, answer.body
        task: dict[str, Any] = answer.body
        await self.told_of(task["id"])
        await self.granted((SARAH.user_id, "view", "task", task["id"]))
        return task

    async def change(self, task: Mapping[str, Any], user: User = SARAH, **changes: object) -> dict[str, Any]:
        """Change a task on the version it has, and return it as it is then."""
        answer = await self.ask(
            "PATCH", f"/api/tasks/{task['id']}", user, {"changes": changes}, If_Match=f'"{task["version"]}"'
        )
        assert answer.status == 200, answer.body
        changed: dict[str, Any] = answer.body
        return changed

    async def page(self, user: User, *channels: str, transport: str = "websocket", **ext: object) -> Client:
        """Return a client of a user, connected and subscribed. ``ext`` is put beside the token of its handshake."""
        peer = PEERS[transport](self.http, self.server.url)
        self._stack.push_async_callback(peer.close)
        client = Client(peer)
        reply = await client.handshake(ext={"auth": {"token": self._token(user)}, **ext})
        assert reply["successful"], reply
        reply = await client.connect(advice={"timeout": 0})
        assert reply["successful"], reply
        for channel in channels:
            reply = await client.subscribe(channel)
            assert reply["successful"], reply
        return client

    async def call(self, client: Client, channel: str, data: object) -> Message:
        """Make a remote call and return its answer. Events that come before it are lost."""
        message = client.message(channel, data=data)
        await client.peer.request(message)
        while True:
            answer = await client.event()
            if answer.get("id") == message["id"]:
                return answer


async def next_event(client: Client, event_type: str) -> dict[str, Any]:
    """Return the next event of a type (a feed's entries have types too); others are passed over."""
    while True:
        data: dict[str, Any] = (await client.event())["data"]
        if data.get("type") == event_type:
            return data


def heard(client: Client) -> list[dict[str, Any]]:
    """Take what has arrived and was not asked for yet."""
    found = []
    while not client.peer.inbox.empty():
        found.append(client.peer.inbox.get_nowait()["data"])
    return found


@asynccontextmanager
async def care_world(folder: Path, services: Mapping[str, Any] | None = None) -> AsyncIterator[CareWorld]:
    """Run it on a manual clock; on the machine's with ``services``, which know no other. See :func:`care_sections`."""
    clock = ManualClock() if services is None else None
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(local_server(care_sections(folder, services), clock=clock))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        world = CareWorld(server, http, stack)
        await world.prepare()
        yield world

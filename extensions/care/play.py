"""``bayeux-server demo --play``: the story on a server of its own, told in the terminal as it happens."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp
import click

from bayeux_server import logs
from bayeux_server.app import BayeuxApp
from bayeux_server.serving import listening
from bayeux_server.settings import Settings, convert
from channels.demo_data import RITA, TEAMS, coordinators
from channels.relations import Operation, relation_of_staff
from channels.stores.port import CareStore
from channels.stores.records import Commit
from channels.tasks.model import User
from clients.python import BayeuxClient, RefusedError
from clients.python import Event as ClientEvent
from extensions.care import STORE
from extensions.care.aftermath import Audited, audited
from extensions.care.story import Cast, Event, Line, Outcome, Person, StoryError, Tell, Wire
from extensions.care.story import play as play_story
from extensions.demo_login import AUDIENCE, ISSUER

NODE: Final = "play"
_SECRET_ENV: Final = "CARE_DEMO_SECRET"  # noqa: S105 - the name of a variable
_COLOURS: Final = {"Sarah Johnson": "cyan", "Tom Becker": "yellow", "Rita Stone": "magenta", "Audit": "green"}


def play_settings(folder: Path) -> Settings:
    """Return settings for the story: everything embedded, on any free port, all data below ``folder``."""
    issuer = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "algorithms": ["HS256"],
        "roles_claim": "roles",
        "roles": ["care_coordinator", "rsa", "system"],
        "keys": [{"secret_env": _SECRET_ENV}],
    }
    table = {
        "server": {"port": 0, "drain_ms": 0, "demo": False},
        "log": {"level": "error"},
        "extensions": {
            "demo_login": {"secret_env": _SECRET_ENV},
            "authentication": {"issuers": [issuer]},
            "acknowledge": {},
            "audit": {"folder": str(folder / "audit"), "node": NODE},
            "presence": {},
            "care": {"store_url": f"sqlite:///{folder / 'care.sqlite3'}", "demo": True},
            "authorization": {},
            "careflow": {},
            "features": {},
        },
    }
    return convert(table, Settings)


class ClientWire:
    """A :class:`extensions.care.story.Wire` over the Python client."""

    def __init__(self, client: BayeuxClient) -> None:
        self._client = client

    async def subscribe(self, channel: str, told: Callable[[Event], None]) -> None:
        """See :class:`Wire`."""

        def tell(event: ClientEvent) -> None:
            told(event.data)

        try:
            await self._client.subscribe(channel, tell)
        except RefusedError as error:
            raise PermissionError(error.error) from error

    async def send(self, channel: str, data: Event) -> None:
        """See :class:`Wire`."""
        await self._client.publish(channel, data)


#: Connects somebody: the Bayeux address and a token to a wire, for as long as the context is open.
Connect = Callable[[str, str], AbstractAsyncContextManager[Wire]]


@asynccontextmanager
async def python_client(url: str, token: str) -> AsyncIterator[Wire]:
    """Connect by the Python client."""
    async with BayeuxClient(url, token=token) as client:
        yield ClientWire(client)


async def play_in(folder: Path, tell: Tell, *, connect: Connect = python_client) -> tuple[Outcome, Audited]:
    """Play the story with all its data below ``folder``, and read its audit.

    Raises:
        StoryError: If anything does not happen as told.
    """
    async with AsyncExitStack() as stack:
        os.environ.setdefault(_SECRET_ENV, secrets.token_urlsafe(48))
        base, store = await stack.enter_async_context(_stage(play_settings(folder)))

        async def enter(user: User) -> Person:
            token = await _login(base, user)
            wire = await stack.enter_async_context(connect(f"{base}/bayeux", token))
            headers = {"Authorization": f"Bearer {token}"}
            http = await stack.enter_async_context(aiohttp.ClientSession(base, headers=headers))
            return Person(user.user_id, user.user_name, wire, http)

        async def revoke() -> None:
            relation = relation_of_staff(RITA.user_id, RITA.user_role, TEAMS[0].id)
            await store.commit(Commit(relations=((Operation.DELETE, relation),)))

        sarah, tom = (user for index, user in enumerate(coordinators()) if index in (0, len(TEAMS)))
        outcome = await play_story(Cast(await enter(sarah), await enter(tom), await enter(RITA), revoke), tell)
    audit = audited(folder / "audit" / NODE)
    if RITA.user_id in audit.shown_to or not {sarah.user_id, tom.user_id} <= audit.shown_to:
        raise StoryError("the audit does not say who was shown what")
    if RITA.user_id not in audit.revoked:
        raise StoryError("the audit does not tell of the revocation")
    await tell(Line("", "The audit shows it all", is_scene=True))
    await tell(
        Line("Audit", f"{audit.records} records, each chained to the one before: none is missing or was changed")
    )
    await tell(
        Line("Audit", f"patients' data was shown to {', '.join(sorted(audit.shown_to))}, and never to {RITA.user_id}")
    )
    await tell(Line("Audit", f"the revocation of {', '.join(sorted(audit.revoked))} is on record"))
    return outcome, audit


@asynccontextmanager
async def _stage(settings: Settings) -> AsyncIterator[tuple[str, CareStore]]:
    """Run a server in this event loop; gives its address, and its store."""
    app = BayeuxApp(settings)
    async with listening(app, settings.server.host, settings.server.port) as address:
        yield address, app.web[STORE]


async def _login(base: str, user: User) -> str:
    async with (
        aiohttp.ClientSession(base) as http,
        http.post("/api/demo/login", json={"user_id": user.user_id}) as response,
    ):
        token: str = (await response.json())["token"]
        return token


def play(pace_s: float) -> None:
    """Play the story in the terminal.

    Args:
        pace_s: Seconds between two lines.

    Raises:
        click.ClickException: If anything does not happen as told.
    """

    async def tell(line: Line) -> None:
        if line.is_scene:
            click.secho(f"\n{line.text}", bold=True)
        else:
            click.echo(f"  {click.style(f'{line.who:<14}', fg=_COLOURS.get(line.who, 'white'))} {line.text}")
        await asyncio.sleep(pace_s)

    click.echo("A server is started, and its database filled with the demo. Nothing of it is kept.")
    with TemporaryDirectory(prefix="bayeux-play-") as folder:
        settings = play_settings(Path(folder))
        logs.configure(settings.log)
        try:
            asyncio.run(play_in(Path(folder), tell))
        except StoryError as error:
            raise click.ClickException(f"the story went wrong: {error}") from None
    click.secho("\nAll of it happened as it should.", fg="green")

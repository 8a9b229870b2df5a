"""The life of the care layer within a server: its store, and what passes between it and the other extensions."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog
from aiohttp import web

from bayeux_server.protocol.messages import Publish
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.clock import Clock
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from channels import demo_data
from channels.services.caller import Question
from channels.services.consumer import EventConsumer
from channels.stores.migrations import upgrade
from channels.stores.port import CareStore
from channels.timestamps import iso_utc_ms
from extensions.authorization import DECISIONS
from extensions.care.backlog import BacklogWatch
from extensions.care.bases import BaseWatch
from extensions.care.foreign import take_foreign
from extensions.care.metrics import CareMetrics
from extensions.careflow import CAREFLOW

log = structlog.get_logger()

PURGE_EVERY_S: Final = 3_600.0


class AppPermissions:
    """The decisions of whatever authorization the application has when they are first asked for."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    async def answers(self, questions: Sequence[Question]) -> Sequence[bool]:
        """See :class:`channels.services.caller.Permissions`. Without an authorization all answers are no."""
        decisions = self._app.get(DECISIONS)
        return [False] * len(questions) if decisions is None else await decisions.answers(questions)


class StoreLife:
    """Opens the store and keeps it small.

    Args:
        keep_s: Seconds that replies and inbox entries are kept.
    """

    def __init__(
        self,
        store: CareStore,
        url: str,
        clock: Clock,
        *,
        migrate: bool,
        demo: bool,
        keep_s: float,
        relation_changes_kept: int,
    ) -> None:
        self._store = store
        self._url = url
        self._clock = clock
        self._migrate = migrate
        self._demo = demo
        self._keep_s = keep_s
        self._relation_changes_kept = relation_changes_kept
        self._purging: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Migrate if asked to, open, and fill an empty demo.

        Raises:
            OSError: If the store cannot be reached.
        """
        if self._migrate:
            await asyncio.to_thread(upgrade, self._url)
        await self._store.start()
        if self._demo and not await self._store.teams():
            written = await demo_data.seed(self._store)
            log.info("demo.seeded", commits=written)
        self._purging = asyncio.create_task(self._purge_forever(), name="care-purge")

    async def stop(self) -> None:
        """Close; what was begun is finished first."""
        if self._purging is not None:
            self._purging.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._purging
            self._purging = None
            await self._store.stop()

    def unready(self) -> str | None:
        """Return why the store cannot be used now, None if it can."""
        return None if self._purging is not None else "not open"

    async def _purge_forever(self) -> None:
        while True:
            before = iso_utc_ms(self._clock.wall() - self._keep_s)
            try:
                await self._store.purge(before, relation_changes_kept=self._relation_changes_kept)
            except OSError as error:
                log.warning("care.purge_failed", error=type(error).__name__)
            await asyncio.sleep(PURGE_EVERY_S)


class CareExtension(Extension):
    """Starts and stops the store, and joins it to the event bus."""

    name = "care"

    def __init__(
        self,
        server: BayeuxServer,
        app: web.Application,
        store: CareStore,
        life: StoreLife,
        metrics: CareMetrics,
        backlog: BacklogWatch,
    ) -> None:
        self._server = server
        self._app = app
        self._store = store
        self._life = life
        self._metrics = metrics
        self._backlog = backlog
        self._bases = BaseWatch(server)

    async def start(self) -> None:
        """See :meth:`Extension.start`."""
        await self._life.start()
        careflow = self._app[CAREFLOW]
        careflow.intake.absorb = EventConsumer(self._store, self._server.core.clock)
        careflow.relay(self._store)
        self._bases.start()
        self._metrics.watch()
        self._backlog.start()

    async def stop(self) -> None:
        """See :meth:`Extension.stop`."""
        await self._bases.stop()
        await self._backlog.stop()
        await self._life.stop()

    async def take_over(self, session: ServerSession | None, message: Publish) -> bool:
        """See :meth:`Extension.take_over`: an event of a back-end service has its effect before it is shown."""
        if message.channel.segments[0] != "task":
            return False
        await take_foreign(message, self._store, self._app[CAREFLOW])
        return True

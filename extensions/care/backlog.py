"""How much was committed and has not reached the event bus: of the whole store, the same on every node."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from channels.stores.port import CareStore
from channels.stores.records import Backlog

log = structlog.get_logger()

#: Seconds between two looks; scrapes are rarely closer together.
LOOK_EVERY_S: Final = 5.0


class BacklogWatch(Collector):
    """Rows that wait in the outbox, and the age of the oldest: it grows also while the store cannot be asked.

    Args:
        store: Whose outbox.
        wall: Seconds since 1970.
    """

    def __init__(self, store: CareStore, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall
        self._backlog = Backlog(0, None)
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, again and again."""
        self._watching = asyncio.create_task(self._watch(), name="care-backlog")

    async def stop(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    async def look(self) -> None:
        """Ask the store once.

        Raises:
            OSError: If it cannot be reached; what was seen last stays.
        """
        self._backlog = await self._store.backlog()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """See :class:`Collector`."""
        waiting = GaugeMetricFamily("careapp_outbox_waiting_events", "Committed events that the bus does not have yet.")
        waiting.add_metric((), self._backlog.count)
        age = GaugeMetricFamily("careapp_outbox_oldest_age_seconds", "Age of the oldest of them.")
        age.add_metric((), self._oldest_age_s())
        return waiting, age

    def _oldest_age_s(self) -> float:
        oldest_at = self._backlog.oldest_at
        return 0.0 if oldest_at is None else max(0.0, self._wall() - datetime.fromisoformat(oldest_at).timestamp())

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except OSError as error:
                log.warning("care.backlog_unknown", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

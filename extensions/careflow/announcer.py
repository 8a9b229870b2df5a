"""Presence for other services: told to Kafka after subscribers were."""

import asyncio
from typing import Final

import msgspec
import structlog

from channels.presence.events import PresenceEvent
from extensions.careflow.config import CareflowConfig
from extensions.careflow.ports import EventBus

log = structlog.get_logger()

#: What is told. Typing, cursors and counts are of the moment, and of no use to who reads them later.
TYPES: Final = frozenset({"presence.user_joined", "presence.user_left", "presence.state_changed"})
#: Events on their way; further ones are dropped. Presence that could not be told at once is no longer true.
_MAX_UNDER_WAY: Final = 1_000


class Announcer:
    """Sends presence events on, marked as shown, without anybody waiting for it."""

    def __init__(self, config: CareflowConfig, bus: EventBus) -> None:
        self._config = config
        self._bus = bus
        self._under_way: set[asyncio.Task[None]] = set()

    def tell(self, event: PresenceEvent) -> None:
        """Send an event that subscribers have been shown, if it is of :data:`TYPES`."""
        event_type = str(event.__struct_config__.tag)
        if event_type not in TYPES or len(self._under_way) >= _MAX_UNDER_WAY:
            return
        # Tasks begin in their order, and put the event in the producer's queue at once: order is kept.
        task = asyncio.ensure_future(self._send(event_type, event.task_id, msgspec.json.encode(event)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def stop(self) -> None:
        """Wait for what is on its way."""
        await asyncio.gather(*self._under_way)

    async def _send(self, event_type: str, task_id: str, raw: bytes) -> None:
        try:
            await self._bus.send(self._config.topic_of(event_type), task_id, raw, shown=True)
        except OSError as error:
            log.debug("careflow.presence_not_told", type=event_type, error=type(error).__name__)

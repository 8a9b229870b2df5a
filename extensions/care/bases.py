"""``task.base_moved``: whoever edits a task hears that it has changed under him, before he saves."""

import asyncio
from typing import Final

import msgspec
import structlog

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.bayeux_server import BayeuxServer
from channels.tasks.events import CREATED, base_moved, read_event

log = structlog.get_logger()

_TASK_EVENT: Final = b'"type":"task.'
_NOT_MOVING: Final = (CREATED, "task.base_moved")
#: Events that may wait to be told; beyond, editors are not warned, and find out when they save.
_MOST_WAITING: Final = 1_000


class BaseWatch:
    """Follows the tasks' channels and tells the editors. Who they are is the view policy's matter.

    Every node sees every event, and tells its own sessions: each is told once, however many nodes there are.
    """

    def __init__(self, server: BayeuxServer) -> None:
        self._server = server
        self._session = server.local_session("base-watch")
        self._moved: asyncio.Queue[Publication] = asyncio.Queue(_MOST_WAITING)
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._session.subscribe("/task/*", self._see)
        self._telling = asyncio.create_task(self._tell_forever(), name="base-moved")

    async def stop(self) -> None:
        """Stop following."""
        self._session.disconnect()
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    def _see(self, publication: Publication) -> None:
        if _TASK_EVENT in publication.data and not self._moved.full():
            self._moved.put_nowait(publication)

    async def _tell_forever(self) -> None:
        while True:
            publication = await self._moved.get()
            try:
                document = msgspec.json.decode(publication.data)
                if document.get("type") in _NOT_MOVING:
                    continue
                event = read_event(document)
                warning = msgspec.json.encode(base_moved(event))
                self._server.publish_here(publication.channel, warning)
            except Exception:
                log.exception("base_moved.failed")

"""The embedded permission checker: the relations of our own database, held in memory."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress

import structlog

from channels.relations import RelationSource
from extensions.authorization.graph import RelationGraph
from extensions.authorization.ports import Check, CheckerUnavailableError, Watcher
from extensions.authorization.schema import Schema

log = structlog.get_logger()


class EmbeddedChecker:
    """Answers from a :class:`RelationGraph` that follows a :class:`RelationSource`.

    While the source cannot be followed it answers nothing: relations that were right a moment ago may be revoked now.

    Args:
        schema: What the relations give.
        source: Where the relations are kept.
        retry_s: Pause before a source that broke is read anew, seconds.
    """

    def __init__(self, schema: Schema, source: RelationSource, *, retry_s: float = 1.0) -> None:
        self._schema = schema
        self._source = source
        self._retry_s = retry_s
        self._graph: RelationGraph | None = None
        self._following: asyncio.Task[None] | None = None

    async def start(self, watcher: Watcher) -> None:
        """See :meth:`PermissionChecker.start`. Returns when the relations were read, or could not be, once."""
        read_once = asyncio.Event()
        self._following = asyncio.create_task(self._follow(watcher, read_once), name="relations")
        await read_once.wait()

    async def stop(self) -> None:
        """See :meth:`PermissionChecker.stop`."""
        following, self._following, self._graph = self._following, None, None
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    def unready(self) -> str | None:
        """See :meth:`PermissionChecker.unready`."""
        return None if self._graph is not None else "relations not loaded"

    def holders_now(
        self, user_ids: Collection[str], permission: str, object_type: str, object_id: str
    ) -> AbstractSet[str] | None:
        """See :meth:`PermissionChecker.holders_now`: always, while the relations are followed."""
        return None if self._graph is None else self._graph.holders(user_ids, permission, object_type, object_id)

    async def check_bulk(self, checks: Sequence[Check], *, at_least: str | None = None) -> list[bool]:
        """See :meth:`PermissionChecker.check_bulk`. There is one state, the newest; ``at_least`` changes nothing."""
        if self._graph is None:
            raise CheckerUnavailableError("relations not loaded")
        asking: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        for check in checks:
            asking[check[1:]].add(check.user_id)
        holders = {need: self._graph.holders(user_ids, *need) for need, user_ids in asking.items()}
        return [check.user_id in holders[check[1:]] for check in checks]

    async def _follow(self, watcher: Watcher, read_once: asyncio.Event) -> None:
        while True:
            try:
                await self._follow_until_broken(watcher, read_once)
                log.warning("relations.stream_ended")
            except Exception:
                log.exception("relations.stream_broke")
            self._graph = None
            watcher.watching(alive=False)
            read_once.set()
            await asyncio.sleep(self._retry_s)

    async def _follow_until_broken(self, watcher: Watcher, read_once: asyncio.Event) -> None:
        revision, relations = await self._source.snapshot()
        self._graph = graph = RelationGraph(self._schema, relations)
        watcher.watching(alive=True)
        read_once.set()
        async for changes in self._source.changes(revision):
            objects = graph.apply(changes)
            touched = self._schema.touched_by({object_type for object_type, _ in objects})
            watcher.changed(objects, touched, None)

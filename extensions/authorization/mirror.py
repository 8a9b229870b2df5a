"""Brings the relations of our database into SpiceDB, for installations where nobody else does."""

import asyncio
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress

import structlog

from channels.relations import RelationSource, changes_between
from extensions.authorization.ports import Check, CheckerUnavailableError, Watcher
from extensions.authorization.spicedb import SpiceDBChecker

log = structlog.get_logger()


class RelationMirror:
    """Writes every relation and every change of a source into a SpiceDB, in order, again and again until it is there.

    Each node may run one: writing twice does no harm. Whoever mirrors owns what our definitions have there: what is
    beyond the source, such as a relation taken out while no node ran, is deleted before anything is decided.

    Args:
        source: Ours.
        checker: Writes.
        retry_s: Pause after a failure, seconds.
    """

    def __init__(self, source: RelationSource, checker: SpiceDBChecker, *, retry_s: float = 1.0) -> None:
        self._source = source
        self._checker = checker
        self._retry_s = retry_s
        self._following: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()

    async def start(self) -> None:
        """Begin to follow the source, in the background."""
        self._following = asyncio.create_task(self._follow(), name="relation-mirror")

    async def stop(self) -> None:
        """Stop; what is not written yet is written by the next start."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_until_broken()
            except CheckerUnavailableError as error:
                log.warning("relations.not_mirrored", reason=str(error))
            except Exception:
                log.exception("relations.not_mirrored")
            self._idle.clear()
            await asyncio.sleep(self._retry_s)

    async def _follow_until_broken(self) -> None:
        # Read before the snapshot, which then has all that another node may have written there already.
        there = await self._checker.relations()
        revision, relations = await self._source.snapshot()
        # What is no more goes first: until then it would give rights.
        corrections = changes_between(there, frozenset(relations), revision=revision)
        if corrections:
            await self._checker.write(corrections)
        self._idle.set()
        async for changes in self._source.changes(revision):
            self._idle.clear()
            await self._checker.write(changes)
            self._idle.set()

    async def caught_up(self) -> None:
        """Return when everything read from the source is written."""
        await self._idle.wait()


class MirroredChecker:
    """A :class:`SpiceDBChecker` that is asked only while it has all that was read of our own relations.

    Args:
        checker: Asked.
        source: Ours.
        patience_s: How long a check waits for the mirror, seconds; then it is not answered.
        retry_s: Pause of the mirror after a failure, seconds.
    """

    def __init__(
        self, checker: SpiceDBChecker, source: RelationSource, *, patience_s: float = 2.0, retry_s: float = 1.0
    ) -> None:
        self._checker = checker
        self._mirror = RelationMirror(source, checker, retry_s=retry_s)
        self._patience_s = patience_s

    async def start(self, watcher: Watcher) -> None:
        """See :meth:`PermissionChecker.start`."""
        await self._checker.start(watcher)
        await self._mirror.start()

    async def stop(self) -> None:
        """See :meth:`PermissionChecker.stop`."""
        await self._mirror.stop()
        await self._checker.stop()

    def unready(self) -> str | None:
        """See :meth:`PermissionChecker.unready`."""
        return self._checker.unready()

    def holders_now(
        self, user_ids: Collection[str], permission: str, object_type: str, object_id: str
    ) -> AbstractSet[str] | None:
        """See :meth:`PermissionChecker.holders_now`."""
        return self._checker.holders_now(user_ids, permission, object_type, object_id)

    async def check_bulk(self, checks: Sequence[Check], *, at_least: str | None = None) -> list[bool]:
        """See :meth:`PermissionChecker.check_bulk`."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._mirror.caught_up()
        except TimeoutError:
            raise CheckerUnavailableError("relations are not mirrored yet") from None
        return await self._checker.check_bulk(checks, at_least=at_least)

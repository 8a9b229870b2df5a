"""Relations for tests: a source in memory, and a watcher that remembers what it was told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from channels.relations import Operation, Relation, RelationChange


def relation(text: str) -> Relation:
    """Read ``task:1#assignee@user:cc`` (subjects may have a ``#relation`` too)."""
    thing, subject = text.split("@")
    object_part, name = thing.split("#")
    object_type, object_id = object_part.split(":")
    subject_part, _, subject_relation = subject.partition("#")
    subject_type, subject_id = subject_part.split(":")
    return Relation(object_type, object_id, name, subject_type, subject_id, subject_relation)


def touch(*texts: str) -> list[RelationChange]:
    """Changes that put relations in."""
    return [RelationChange(0, Operation.TOUCH, relation(text)) for text in texts]


def delete(*texts: str) -> list[RelationChange]:
    """Changes that take relations out."""
    return [RelationChange(0, Operation.DELETE, relation(text)) for text in texts]


class MemoryRelations:
    """A :class:`RelationSource` whose stream can be broken and whose store can be made unreadable."""

    def __init__(self) -> None:
        self._relations: set[Relation] = set()
        self._log: list[RelationChange] = []
        self._changed = asyncio.Condition()
        self._breaks = 0
        self.readable = True
        #: Set when a reader's stream has ended.
        self.ended = asyncio.Event()

    async def write(self, changes: Iterable[RelationChange]) -> None:
        """Make changes, each with a revision of its own."""
        async with self._changed:
            for change in changes:
                (self._relations.add if change.operation is Operation.TOUCH else self._relations.discard)(
                    change.relation
                )
                self._log.append(change._replace(revision=len(self._log) + 1))
            self._changed.notify_all()

    async def break_stream(self) -> None:
        """End the streams that are being read."""
        async with self._changed:
            self._breaks += 1
            self._changed.notify_all()

    async def snapshot(self) -> tuple[int, Sequence[Relation]]:
        """See :meth:`RelationSource.snapshot`."""
        if not self.readable:
            raise OSError("unreadable")
        return len(self._log), tuple(self._relations)

    async def changes(self, after_revision: int) -> AsyncIterator[Sequence[RelationChange]]:
        """See :meth:`RelationSource.changes`."""
        breaks, told = self._breaks, after_revision
        while True:
            async with self._changed:
                while len(self._log) == told and self._breaks == breaks:
                    await self._changed.wait()
                new = self._log[told:]
            if self._breaks != breaks:
                self.ended.set()
                return
            told += len(new)
            yield new


class RecordingWatcher:
    """A :class:`Watcher` that remembers."""

    def __init__(self) -> None:
        self.alive = False
        self.token: str | None = None
        self.objects: set[tuple[str, str]] = set()
        self.types: set[str] = set()
        self.breaks = 0
        self._heard = asyncio.Event()

    def changed(self, objects: frozenset[tuple[str, str]], types: frozenset[str], token: str | None) -> None:
        """See :meth:`Watcher.changed`."""
        self.objects |= objects
        self.types |= types
        self.token = token or self.token
        self._heard.set()

    def watching(self, *, alive: bool, token: str | None = None) -> None:
        """See :meth:`Watcher.watching`."""
        self.alive = alive
        self.breaks += not alive
        self.token = token or self.token
        self._heard.set()

    async def until(self, happened: Callable[["RecordingWatcher"], bool]) -> None:
        """Wait until what was heard satisfies ``happened``; fails after ten seconds."""
        async with asyncio.timeout(10):
            while not happened(self):
                self._heard.clear()
                await self._heard.wait()

"""No write under an old fencing token is accepted after a newer token's, however reading, checking and committing mix.

The check of the locks and the commit are two steps in two stores. What closes the gap is their order: a write reads the
task's version, then looks at the locks, then commits if the version is still the one it read. A newer token's write is
committed either before the reading, so that the locks showed its token; or after it, so that the version has moved on.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from channels.locks.guard import StoreLockGuard, Verdict, WriteIntent
from channels.locks.model import Holder
from channels.stores.migrations import upgrade
from channels.stores.records import Commit
from channels.stores.sqlite import SqliteStore
from channels.tasks.model import Task, User
from extensions.presence.backends.memory import MemoryLockStore
from tests.support.care import BORN_S, MIKE, SARAH
from tests.support.care_service import Care
from tests.support.examples import examples

FIELD = "notes"
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["take", "release", "write", "step"]), st.sampled_from([0, 1])), max_size=30
)
_writer: ContextVar["Writer | None"] = ContextVar("writer", default=None)


class Writer:
    """Somebody whose writes stop at each step until they are let on."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.holder = Holder(f"session of {user.user_id}", user.user_id, user.user_name)
        self.token: int | None = None
        self.shown: int | None = None
        self._arrived = asyncio.Event()
        self._go = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def stop_here(self) -> None:
        """Wait to be let on."""
        self._arrived.set()
        await self._go.wait()
        self._go.clear()

    async def step(self, world: "World") -> None:
        """Begin a write, or go on with it to its next stop."""
        self._arrived.clear()
        if self._writing is None:
            if self.token is None:
                return
            self.shown = self.token
            self._writing = asyncio.create_task(self._write(world))
        else:
            self._go.set()
        arrived = asyncio.create_task(self._arrived.wait())
        await asyncio.wait({arrived, self._writing}, return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        if self._writing.done():
            self._writing.result()
            self._writing = None

    async def finish(self, world: "World") -> None:
        """Go on to the end of a write under way."""
        while self._writing is not None:
            await self.step(world)

    async def _write(self, world: "World") -> None:
        task = await world.store.task(world.task_id)
        assert task is not None
        changes = {FIELD: f"Version {task.version} of {self.user.user_name}"}
        body = {"task_id": world.task_id, "version": task.version, "changes": changes}
        _writer.set(self)
        await world.care.call("task.update", self.user, {**body, "fencing_tokens": {FIELD: self.shown}})


class SteppingStore(SqliteStore):
    """Stops a writer before it reads, and before it commits; notes whose token was accepted, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.accepted: list[int] = []

    async def task(self, task_id: str) -> Task | None:
        await _stop()
        return await super().task(task_id)

    async def commit(self, commit: Commit) -> None:
        await _stop()
        await super().commit(commit)
        writer = _writer.get()
        if writer is not None and commit.write is not None and writer.shown is not None:
            self.accepted.append(writer.shown)


class SteppingGuard:
    """The guard of the locks, before which a writer stops too."""

    def __init__(self, locks: MemoryLockStore) -> None:
        self._guard = StoreLockGuard(locks.of_task, lambda: BORN_S)

    async def check(self, intent: WriteIntent) -> Verdict:
        """See :class:`channels.locks.guard.LockGuard`."""
        await _stop()
        return await self._guard.check(intent)


class World:
    """A task, its locks and two writers."""

    def __init__(self, folder: Path) -> None:
        self.store = SteppingStore(folder / "care.db")
        self.locks = MemoryLockStore()
        self.care = Care(self.store, locks=SteppingGuard(self.locks))
        self.writers = (Writer(SARAH), Writer(MIKE))
        self.task_id = ""

    async def live(self, actions: Sequence[tuple[str, int]]) -> list[int]:
        """Do all this; return the tokens under which writes were accepted, in order."""
        await self.store.start()
        await self.care.prepare()
        self.task_id = await self.care.task()
        for action, who in actions:
            writer = self.writers[who]
            if action == "take":
                attempt = await self.locks.take_over(self.task_id, FIELD, writer.holder, BORN_S)
                writer.token = attempt.lock.token
            elif action == "release":
                await self.locks.release(self.task_id, FIELD, writer.holder.session_id, BORN_S)
            else:
                await writer.step(self)
                if action == "write":
                    await writer.finish(self)
        for writer in self.writers:
            await writer.finish(self)
        await self.store.stop()
        return self.store.accepted


async def _stop() -> None:
    writer = _writer.get()
    if writer is not None:
        await writer.stop_here()


@cache
def _empty() -> bytes:
    """A database without anything in it, made once."""
    with tempfile.TemporaryDirectory() as folder:
        upgrade(f"sqlite:///{Path(folder) / 'care.db'}")
        return (Path(folder) / "care.db").read_bytes()


def _live(actions: Sequence[tuple[str, int]]) -> list[int]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "care.db").write_bytes(_empty())
        return asyncio.run(World(Path(folder)).live(actions))


@settings(max_examples=examples(100), deadline=None, derandomize=True)
@given(actions=ACTIONS)
def test_accepted_tokens_never_fall(actions: list[tuple[str, int]]) -> None:
    accepted = _live(actions)
    assert accepted == sorted(accepted)


def test_writes_are_accepted_where_nothing_comes_between() -> None:
    """So that the property speaks of something."""
    accepted = _live([("take", 0), ("write", 0), ("take", 1), ("write", 1)])
    assert len(accepted) == 2
    assert accepted[0] < accepted[1]

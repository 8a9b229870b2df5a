"""One thread that writes an SQLite database, many writes to a transaction."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple, TypeVar

Result = TypeVar("Result")

#: Writes that share one transaction, and so one fsync, at most. More gain little and make the first one wait.
LARGEST_GROUP: Final = 64


class _Write(NamedTuple):
    operation: Callable[[sqlite3.Connection], Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop


class GroupCommitter:
    """Runs writes in the order they were given, each all or nothing, several to a transaction.

    A write is done when its transaction is on disk, not before. If one fails, its group is rolled back and written
    again with a savepoint before each, so that the others are not touched. Savepoints double what a write costs, as
    every page is copied before it is changed, and nearly all groups do without.

    Args:
        connection: In autocommit mode; used by the thread alone from now on, and closed at the end.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._stopped = False
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, operation: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run ``operation`` in the thread and return what it returned, once that is durable.

        Args:
            operation: Has no effect but on the connection: it may be rolled back and run again.

        Raises:
            Exception: What ``operation`` raised.
            sqlite3.Error: If the transaction could not be committed; then nothing of it was written.
            OSError: If the writer was stopped.
        """
        if self._stopped:
            raise OSError("the writer was stopped")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.put(_Write(operation, future, loop))
        # A caller that is cancelled does not take the write back: the thread does not look at the future.
        return await future

    async def stop(self) -> None:
        """Finish what was given, then end the thread."""
        self._stopped = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        ends = False
        while not ends:
            group, ends = self._next_group()
            if group:
                _tell(group, self._commit(group))
        self._connection.close()

    def _next_group(self) -> tuple[list[_Write], bool]:
        """Wait for a write, and take what else waits by now. The second value tells that no more will come."""
        write = self._queue.get()
        group: list[_Write] = []
        while write is not None:
            group.append(write)
            if len(group) == LARGEST_GROUP:
                return group, False
            try:
                write = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Write]) -> list[Any]:
        """Return each write's result, or the exception it ended with."""
        try:
            try:
                return self._transact(group, self._run_operation)
            except _OneFailedError:
                return self._transact(group, self._attempt)
        except Exception as error:
            # Whatever it is, the callers hear of it: a writer that died would leave them, and all later ones, waiting.
            return [error] * len(group)

    def _transact(self, group: list[_Write], run: Callable[[_Write], Any]) -> list[Any]:
        """Return what ``run`` returned for each write once all are on disk; if anything raises, none is."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = list(map(run, group))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return results

    def _run_operation(self, write: _Write) -> Any:
        try:
            return write.operation(self._connection)
        except Exception as error:
            raise _OneFailedError from error

    def _attempt(self, write: _Write) -> Any:
        """Run one write so that its failure, which is returned, is its own."""
        execute = self._connection.execute
        execute("SAVEPOINT attempt")
        try:
            result = write.operation(self._connection)
        except Exception as error:
            # Whatever it was, it is the caller's; the others' writes go on.
            execute("ROLLBACK TO attempt")
            execute("RELEASE attempt")
            return error
        execute("RELEASE attempt")
        return result


class _OneFailedError(Exception):
    """A write of a group failed."""


def _tell(group: list[_Write], results: list[Any]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for write, result in zip(group, results, strict=True):
        by_loop.setdefault(write.loop, []).append((write.future, result))
    for loop, outcomes in by_loop.items():
        with contextlib.suppress(RuntimeError):  # The loop was closed: nobody waits any more.
            loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, result in outcomes:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

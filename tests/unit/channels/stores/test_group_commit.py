"""One writer, many writes to a transaction."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from channels.stores.group_commit import LARGEST_GROUP, GroupCommitter


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0.05, isolation_level=None, check_same_thread=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.db"
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    connection.close()
    return path


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[GroupCommitter]:
    writer = GroupCommitter(connect(path))
    yield writer
    await writer.stop()


async def insert(writer: GroupCommitter, number: int) -> None:
    await writer.write(lambda connection: connection.execute("INSERT INTO numbers VALUES (?)", (number,)))


def numbers(path: Path) -> set[int]:
    connection = connect(path)
    found = {number for (number,) in connection.execute("SELECT number FROM numbers")}
    connection.close()
    return found


class TestGroupCommitter:
    async def test_what_was_written_is_there_for_others_when_the_write_returns(
        self, writer: GroupCommitter, path: Path
    ) -> None:
        await insert(writer, 7)
        assert numbers(path) == {7}

    async def test_one_that_fails_takes_no_other_with_it(self, writer: GroupCommitter, path: Path) -> None:
        wanted = [*range(LARGEST_GROUP * 2), 3, 4]
        outcomes = await asyncio.gather(*(insert(writer, number) for number in wanted), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if outcome is not None] == [sqlite3.IntegrityError] * 2
        assert numbers(path) == set(range(LARGEST_GROUP * 2))

    async def test_those_beside_one_that_fails_are_written_once(self, writer: GroupCommitter, path: Path) -> None:
        def append(connection: sqlite3.Connection) -> int | None:
            return connection.execute("INSERT INTO numbers DEFAULT VALUES").lastrowid

        def fail(connection: sqlite3.Connection) -> None:
            append(connection)
            raise ValueError("of its own")

        # The first one is alone; the others are a group.
        operations = [append, append, append, fail, append]
        outcomes = await asyncio.gather(*map(writer.write, operations), return_exceptions=True)
        assert [each for each in outcomes if isinstance(each, int)] == [1, 2, 3, 4]
        assert numbers(path) == {1, 2, 3, 4}

    async def test_a_write_that_fails_half_way_leaves_nothing(self, writer: GroupCommitter, path: Path) -> None:
        def half(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO numbers VALUES (1)")
            raise ValueError("half way")

        with pytest.raises(ValueError, match="half way"):
            await writer.write(half)
        await insert(writer, 2)
        assert numbers(path) == {2}

    async def test_writes_that_wait_together_share_a_transaction(self, writer: GroupCommitter, path: Path) -> None:
        seen_by_others: list[set[int]] = []

        def look(connection: sqlite3.Connection, number: int) -> None:
            seen_by_others.append(numbers(path))
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))

        # The first one is alone; the others come while it is written, and none sees the others committed.
        await asyncio.gather(*(writer.write(partial(look, number=number)) for number in range(20)))
        assert len({frozenset(each) for each in seen_by_others}) <= 2

    async def test_writes_are_done_in_the_order_they_were_given(self, writer: GroupCommitter) -> None:
        order: list[int] = []

        def note(_: sqlite3.Connection, number: int) -> None:
            order.append(number)

        await asyncio.gather(*(writer.write(partial(note, number=number)) for number in range(200)))
        assert order == list(range(200))

    async def test_stopping_finishes_what_was_given(self, path: Path) -> None:
        writer = GroupCommitter(connect(path))
        writes = [asyncio.ensure_future(insert(writer, number)) for number in range(100)]
        await asyncio.sleep(0)
        await writer.stop()
        await asyncio.gather(*writes)
        assert numbers(path) == set(range(100))

    async def test_a_stopped_writer_says_so(self, path: Path) -> None:
        writer = GroupCommitter(connect(path))
        await writer.stop()
        with pytest.raises(OSError, match="stopped"):
            await insert(writer, 1)

    async def test_a_caller_that_is_cancelled_does_not_take_its_write_back(
        self, writer: GroupCommitter, path: Path
    ) -> None:
        write = asyncio.ensure_future(insert(writer, 1))
        await asyncio.sleep(0)
        write.cancel()
        await insert(writer, 2)
        assert write.cancelled()
        assert numbers(path) == {1, 2}

    async def test_a_transaction_that_cannot_be_begun_fails_its_writes_and_no_later_ones(
        self, writer: GroupCommitter, path: Path
    ) -> None:
        other = connect(path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await insert(writer, 4)
        other.execute("ROLLBACK")
        other.close()
        await insert(writer, 5)
        assert numbers(path) == {5}

"""Every permission checker against the one contract."""

import asyncio
from collections.abc import Callable

import pytest

from bayeux_server.errors import LocalError
from extensions.authorization.embedded import EmbeddedChecker
from extensions.authorization.mirror import MirroredChecker
from extensions.authorization.ports import Check, CheckerUnavailableError
from extensions.authorization.schema import packaged_schema
from extensions.authorization.spicedb import SpiceDBChecker
from extensions.authorization.spicedb_client import Connection, SpiceDBClient
from tests.contracts.permission_checker import CLINIC, PermissionCheckerContract, Rig
from tests.support.relations import MemoryRelations, RecordingWatcher, touch
from tests.support.services.service import free_port
from tests.support.services.spicedb import SpiceDB


class TestEmbeddedChecker(PermissionCheckerContract):
    """The relation graph of our own database."""

    @pytest.fixture
    def source(self) -> MemoryRelations:
        """Where its relations are."""
        return MemoryRelations()

    @pytest.fixture
    def rig(self, source: MemoryRelations) -> Rig:
        """See the contract."""
        return Rig(EmbeddedChecker(packaged_schema(), source, retry_s=0), source.write)

    async def test_it_answers_at_once(self, clinic: Rig) -> None:
        assert clinic.checker.holders_now(("omar", "rita", "chen"), "edit", "task", "1") == {"omar", "chen"}

    async def test_a_broken_stream_is_read_anew(self, clinic: Rig, source: MemoryRelations) -> None:
        await source.break_stream()
        await clinic.watcher.until(lambda watcher: watcher.breaks == 1 and watcher.alive)
        assert await clinic.allowed(Check("sarah", "view", "task", "1")) == [True]

    async def test_while_the_source_cannot_be_read_it_answers_nothing(self, rig: Rig, source: MemoryRelations) -> None:
        source.readable = False
        await rig.checker.start(rig.watcher)
        assert rig.checker.holders_now(("sarah",), "view", "task", "1") is None
        with pytest.raises(CheckerUnavailableError):
            await rig.allowed(Check("sarah", "view", "task", "1"))
        source.readable = True
        await rig.watcher.until(lambda watcher: watcher.alive)
        assert await rig.allowed(Check("sarah", "view", "task", "1")) == [False]
        await rig.checker.stop()


class TestSpiceDBChecker(PermissionCheckerContract):
    """A real SpiceDB."""

    @pytest.fixture
    def rig(self, spicedb_server: SpiceDB, spicedb_token: str) -> Rig:
        """See the contract."""
        connection = Connection(spicedb_server.target, spicedb_token, plaintext=True, timeout_s=10)
        checker = SpiceDBChecker(packaged_schema(), connection, write_schema=True)
        return Rig(checker, checker.write)

    async def test_it_says_unready_and_answers_nothing_while_nobody_is_there(self) -> None:
        connection = Connection(f"127.0.0.1:{free_port()}", "key", plaintext=True)
        rig = Rig(SpiceDBChecker(packaged_schema(), connection), MemoryRelations().write)
        await rig.checker.start(rig.watcher)
        assert rig.checker.unready() == "UNAVAILABLE"
        with pytest.raises(CheckerUnavailableError):
            await rig.allowed(Check("sarah", "view", "task", "1"))
        await rig.checker.stop()

    @pytest.mark.parametrize("end", [SpiceDB.stop, SpiceDB.suspend])
    async def test_it_tells_when_the_server_goes_and_when_it_hangs(self, end: Callable[[SpiceDB], None]) -> None:
        """A hung server says nothing: the probe finds out."""
        with SpiceDB() as server:
            connection = Connection(server.target, server.new_token(), plaintext=True, timeout_s=0.5)
            checker = SpiceDBChecker(packaged_schema(), connection, write_schema=True, probe_s=0.01)
            rig = Rig(checker, checker.write)
            await checker.start(rig.watcher)
            await rig.watcher.until(lambda watcher: watcher.alive)
            await asyncio.to_thread(end, server)
            await rig.watcher.until(lambda watcher: not watcher.alive)
            assert checker.unready()
            with pytest.raises(CheckerUnavailableError):
                await checker.write(touch("task:1#assignee@user:sarah"))
            await checker.stop()

    async def test_it_goes_on_when_the_server_wakes_up(self) -> None:
        with SpiceDB() as server:
            connection = Connection(server.target, server.new_token(), plaintext=True, timeout_s=0.5)
            checker = SpiceDBChecker(packaged_schema(), connection, write_schema=True, probe_s=0.01, retry_s=0.01)
            rig = Rig(checker, checker.write)
            await checker.start(rig.watcher)
            await rig.watcher.until(lambda watcher: watcher.alive)
            server.suspend()
            await rig.watcher.until(lambda watcher: not watcher.alive)
            server.resume()
            await rig.watcher.until(lambda watcher: watcher.alive)
            await rig.written(touch("task:1#assignee@user:sarah"))
            assert await rig.allowed(Check("sarah", "view", "task", "1")) == [True]
            await checker.stop()

    def test_plaintext_to_another_machine_must_be_allowed_in_words(self) -> None:
        with pytest.raises(LocalError, match="plaintext"):
            SpiceDBClient(Connection("spicedb.internal:50051", "key", plaintext=True))

    def test_the_token_is_not_in_what_is_printed(self) -> None:
        assert "secret" not in repr(Connection("localhost:1", "secret"))


class TestMirroredChecker(PermissionCheckerContract):
    """A real SpiceDB that follows our own relations."""

    @pytest.fixture
    def rig(self, spicedb_server: SpiceDB, spicedb_token: str) -> Rig:
        """See the contract."""
        connection = Connection(spicedb_server.target, spicedb_token, plaintext=True, timeout_s=10)
        source = MemoryRelations()
        checker = SpiceDBChecker(packaged_schema(), connection, write_schema=True)
        return Rig(MirroredChecker(checker, source, retry_s=0.01), source.write)

    async def test_relations_from_before_the_start_are_there_when_the_first_answer_comes(
        self, spicedb_server: SpiceDB, spicedb_token: str
    ) -> None:
        source = MemoryRelations()
        await source.write(CLINIC)
        connection = Connection(spicedb_server.target, spicedb_token, plaintext=True, timeout_s=10)
        checker = MirroredChecker(SpiceDBChecker(packaged_schema(), connection, write_schema=True), source)
        await checker.start(RecordingWatcher())
        assert await checker.check_bulk([Check("sarah", "view", "task", "1")]) == [True]
        await checker.stop()

    async def test_while_the_source_cannot_be_read_it_answers_nothing(
        self, spicedb_server: SpiceDB, spicedb_token: str
    ) -> None:
        source = MemoryRelations()
        source.readable = False
        connection = Connection(spicedb_server.target, spicedb_token, plaintext=True, timeout_s=10)
        inner = SpiceDBChecker(packaged_schema(), connection, write_schema=True)
        checker = MirroredChecker(inner, source, patience_s=0.01)
        await checker.start(RecordingWatcher())
        with pytest.raises(CheckerUnavailableError, match="mirrored"):
            await checker.check_bulk([Check("sarah", "view", "task", "1")])
        await checker.stop()

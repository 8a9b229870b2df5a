"""Mirroring our relations into a real SpiceDB."""

from extensions.authorization.mirror import MirroredChecker
from extensions.authorization.ports import Check
from extensions.authorization.schema import packaged_schema
from extensions.authorization.spicedb import SpiceDBChecker
from extensions.authorization.spicedb_client import Connection
from tests.contracts.permission_checker import CLINIC
from tests.support.relations import MemoryRelations, RecordingWatcher, delete
from tests.support.services.spicedb import SpiceDB

OMAR = Check("omar", "view_phi", "member", "A1")
SARAH = Check("sarah", "view_phi", "member", "A1")


async def _asked(target: str, token: str, source: MemoryRelations) -> list[bool]:
    """Start a node that mirrors, and ask it once."""
    connection = Connection(target, token, plaintext=True, timeout_s=10.0)
    checker = MirroredChecker(
        SpiceDBChecker(packaged_schema(), connection, write_schema=True), source, patience_s=10.0, retry_s=0.05
    )
    await checker.start(RecordingWatcher())
    try:
        return await checker.check_bulk([OMAR, SARAH])
    finally:
        await checker.stop()


async def test_what_was_revoked_while_no_node_ran_is_revoked_before_the_first_decision(
    spicedb_server: SpiceDB, spicedb_token: str
) -> None:
    source = MemoryRelations()
    await source.write(CLINIC)
    assert await _asked(spicedb_server.target, spicedb_token, source) == [True, True]
    # A new source knows no changes: the revocation is in its snapshot alone.
    later = MemoryRelations()
    await later.write([*CLINIC, *delete("member:A1#care_team@user:omar")])
    assert await _asked(spicedb_server.target, spicedb_token, later) == [False, True]

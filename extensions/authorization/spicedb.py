"""The permission checker of production: SpiceDB, over gRPC.

Checks take the state that is quickest at hand (``minimize_latency``) until a change is known of, and from then on one
at least as fresh as that change. ``Watch`` tells of changes; a probe over the same connection finds the stream dead
when its peer has vanished without a word.
"""

import asyncio
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Final

import grpc
import grpc.aio
import structlog
from authzed.api import v1
from authzed.api.v1.watch_service_pb2 import WatchKind

from channels.relations import Operation, Relation, RelationChange
from extensions.authorization.ports import Check, CheckerUnavailableError, Watcher
from extensions.authorization.schema import Schema
from extensions.authorization.spicedb_client import Connection, SpiceDBClient
from extensions.authorization.spicedb_ids import item_of, object_of, relation_of, relationship_of

log = structlog.get_logger()

#: Checks in one request, and changes in one transaction; SpiceDB's default limits are above both.
_BULK: Final = 200
_WRITES: Final = 500
_HAS_PERMISSION: Final = v1.CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION
_UPDATES: Final = (
    WatchKind.WATCH_KIND_INCLUDE_RELATIONSHIP_UPDATES,
    WatchKind.WATCH_KIND_INCLUDE_SCHEMA_UPDATES,
    WatchKind.WATCH_KIND_INCLUDE_CHECKPOINTS,
)
#: A state that is quickest at hand may be this old; above SpiceDB's default of five seconds and its stretching.
_QUANTIZATION_S: Final = 10.0
#: Failures after which the same cursor is good for another try.
_PASSING: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


class SpiceDBChecker:
    """Answers from a SpiceDB.

    Args:
        schema: What we take the schema over there to be; says which decisions a change touches.
        connection: Where.
        write_schema: Write our schema at the start. Off where somebody else keeps it.
        retry_s: Pause before a broken watch is begun anew, seconds.
        probe_s: Pause between probes of the connection, seconds.
    """

    def __init__(
        self,
        schema: Schema,
        connection: Connection,
        *,
        write_schema: bool = False,
        retry_s: float = 0.5,
        probe_s: float = 1.0,
    ) -> None:
        self._schema = schema
        self._connection = connection
        self._write_schema = write_schema
        self._retry_s = retry_s
        self._probe_s = probe_s
        self._client: SpiceDBClient | None = None
        self._watching: asyncio.Task[None] | None = None
        self._reason: str | None = "not started"
        self._cursor: v1.ZedToken | None = None
        self._wrote_until_s = 0.0

    async def start(self, watcher: Watcher) -> None:
        """See :meth:`PermissionChecker.start`."""
        self._client = SpiceDBClient(self._connection)
        tried = asyncio.Event()
        self._watching = asyncio.create_task(self._watch(self._client, watcher, tried), name="spicedb-watch")
        await tried.wait()

    async def stop(self) -> None:
        """See :meth:`PermissionChecker.stop`."""
        self._reason = "stopped"
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        if self._client is not None:
            await self._client.close()
            self._client = None

    def unready(self) -> str | None:
        """See :meth:`PermissionChecker.unready`."""
        return self._reason

    def holders_now(
        self, user_ids: Collection[str], permission: str, object_type: str, object_id: str
    ) -> AbstractSet[str] | None:
        """See :meth:`PermissionChecker.holders_now`: never, the answers are elsewhere."""
        return None

    async def check_bulk(self, checks: Sequence[Check], *, at_least: str | None = None) -> list[bool]:
        """See :meth:`PermissionChecker.check_bulk`. A check that is wrong in itself is a no, not a failure."""
        client = self._connected()
        if asyncio.get_running_loop().time() < self._wrote_until_s:
            # Which of two tokens is the newer one cannot be told: after a write of our own, the newest state of all.
            consistency = v1.Consistency(fully_consistent=True)
        elif at_least is None:
            consistency = v1.Consistency(minimize_latency=True)
        else:
            consistency = v1.Consistency(at_least_as_fresh=v1.ZedToken(token=at_least))
        answers: list[bool] = []
        for first in range(0, len(checks), _BULK):
            answers += await self._check_some(client, checks[first : first + _BULK], consistency)
        return answers

    async def write(self, changes: Sequence[RelationChange]) -> str:
        """Write relations, and return the token of the state that has them.

        Raises:
            CheckerUnavailableError: If they could not be written; some may have been. Writing again does no harm.
        """
        client = self._connected()
        token = ""
        for first in range(0, len(changes), _WRITES):
            request = v1.WriteRelationshipsRequest(updates=map(_update_of, changes[first : first + _WRITES]))
            try:
                response = await client.WriteRelationships(
                    request, timeout=self._connection.timeout_s, metadata=client.metadata
                )
            except grpc.aio.AioRpcError as error:
                raise CheckerUnavailableError(error.code().name) from None
            token = response.written_at.token
            self._wrote_until_s = asyncio.get_running_loop().time() + _QUANTIZATION_S
        return token

    async def relations(self) -> frozenset[Relation]:
        """Return every relation of our definitions' objects, as of now.

        Raises:
            CheckerUnavailableError: If they could not be read.
        """
        client = self._connected()
        found: set[Relation] = set()
        for definition in self._schema.definitions:
            request = v1.ReadRelationshipsRequest(
                consistency=v1.Consistency(fully_consistent=True),
                relationship_filter=v1.RelationshipFilter(resource_type=definition),
            )
            try:
                async for response in client.ReadRelationships(request, metadata=client.metadata):
                    found.add(relation_of(response.relationship))
            except grpc.aio.AioRpcError as error:
                raise CheckerUnavailableError(error.code().name) from None
        return frozenset(found)

    def _connected(self) -> SpiceDBClient:
        if self._client is None:
            raise CheckerUnavailableError("not started")
        return self._client

    async def _check_some(
        self, client: SpiceDBClient, checks: Sequence[Check], consistency: v1.Consistency
    ) -> list[bool]:
        items = list(map(item_of, checks))
        request = v1.CheckBulkPermissionsRequest(consistency=consistency, items=items)
        try:
            response = await client.CheckBulkPermissions(
                request, timeout=self._connection.timeout_s, metadata=client.metadata
            )
        except grpc.aio.AioRpcError as error:
            # Only the code: details may repeat ids.
            raise CheckerUnavailableError(error.code().name) from None
        allowed = {_key(pair.request) for pair in response.pairs if pair.item.permissionship == _HAS_PERMISSION}
        return [_key(item) in allowed for item in items]

    # ---- watching

    async def _watch(self, client: SpiceDBClient, watcher: Watcher, tried: asyncio.Event) -> None:
        while True:
            try:
                await self._watch_until_broken(client, watcher, tried)
                self._reason = "watch ended"
            except grpc.aio.AioRpcError as error:
                self._reason = error.code().name
                if error.code() not in _PASSING:
                    self._cursor = None
            except Exception:
                self._reason = "watch failed"
                log.exception("spicedb.watch_failed")
            log.warning("spicedb.watch_broke", reason=self._reason)
            watcher.watching(alive=False)
            tried.set()
            await asyncio.sleep(self._retry_s)

    async def _watch_until_broken(self, client: SpiceDBClient, watcher: Watcher, tried: asyncio.Event) -> None:
        """Watch from the last cursor, or else from the newest state; raise what broke the stream."""
        newest = await self._newest(client)
        cursor = self._cursor or newest
        request = v1.WatchRequest(optional_start_cursor=cursor, optional_update_kinds=_UPDATES)
        self._reason = None
        watcher.watching(alive=True, token=newest.token)
        tried.set()
        tasks = [asyncio.create_task(self._read(client, request, watcher)), asyncio.create_task(self._probe(client))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _newest(self, client: SpiceDBClient) -> v1.ZedToken:
        if self._write_schema:
            written = await client.WriteSchema(
                v1.WriteSchemaRequest(schema=self._schema.text),
                timeout=self._connection.timeout_s,
                metadata=client.metadata,
            )
            self._write_schema = False
            return written.written_at
        return await self._read_at(client)

    async def _read_at(self, client: SpiceDBClient) -> v1.ZedToken:
        response = await client.ReadSchema(
            v1.ReadSchemaRequest(), timeout=self._connection.timeout_s, metadata=client.metadata
        )
        return response.read_at

    async def _probe(self, client: SpiceDBClient) -> None:
        while True:
            await asyncio.sleep(self._probe_s)
            await self._read_at(client)

    async def _read(self, client: SpiceDBClient, request: v1.WatchRequest, watcher: Watcher) -> None:
        async for response in client.Watch(request, metadata=client.metadata):
            self._cursor = response.changes_through
            objects = frozenset(object_of(update.relationship.resource) for update in response.updates)
            if response.schema_updated:
                watcher.changed(objects, frozenset(self._schema.definitions), response.changes_through.token)
            elif objects:
                touched = self._schema.touched_by({object_type for object_type, _ in objects})
                watcher.changed(objects, touched, response.changes_through.token)


def _key(item: v1.CheckBulkPermissionsRequestItem) -> tuple[str, str, str, str]:
    return (item.subject.object.object_id, item.permission, item.resource.object_type, item.resource.object_id)


def _update_of(change: RelationChange) -> v1.RelationshipUpdate:
    operations = v1.RelationshipUpdate
    operation = operations.OPERATION_TOUCH if change.operation is Operation.TOUCH else operations.OPERATION_DELETE
    return v1.RelationshipUpdate(operation=operation, relationship=relationship_of(change.relation))

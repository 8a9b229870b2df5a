"""Events that back-end services publish on ``/task/{id}``: checked here, then on the road of those from Kafka."""

from typing import Any

import msgspec

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.messages import Publish
from channels.schema import SchemaViolationError, check
from channels.stores.port import CareStore
from extensions.careflow.extension import CareFlow
from extensions.careflow.intake import TYPES
from extensions.careflow.records import BusUnavailableError


async def take_foreign(message: Publish, store: CareStore, careflow: CareFlow) -> None:
    """Send an event down the road; tell its publisher what is wrong with it, which on the bus nobody would.

    Raises:
        RemoteError: 402 naming the field that is wrong, 409 if the task has that version or a newer one, 503 if the bus
            or the store cannot be reached.
    """
    event = _event(message)
    try:
        if await _is_old(event, store):
            raise RemoteError(409, ["data.version"], "not newer than what is known")
        await careflow.ingest(event["type"], event["task_id"], bytes(message.data))
    except BusUnavailableError:
        raise RemoteError(503, (), "event_bus_unavailable") from None
    except OSError:
        raise RemoteError(503, (), "store_unavailable") from None


async def _is_old(event: dict[str, Any], store: CareStore) -> bool:
    """Whether a task's event has come too late. One that is sent again is not: it may not have been shown."""
    if not event["type"].startswith("task.") or await store.knows_event(event["event_id"]):
        return False
    return bool(event["version"] <= await store.highest_version(event["task_id"]))


def _event(message: Publish) -> dict[str, Any]:
    event = msgspec.json.decode(message.data)
    event_type = event.get("type") if isinstance(event, dict) else None
    if not isinstance(event_type, str) or event_type not in TYPES or not event_type.startswith(("task.", "presence.")):
        raise RemoteError(402, ["data.type"], "must be a type of task or presence event")
    try:
        check(event_type, event)
    except SchemaViolationError as violation:
        raise RemoteError(402, [f"data.{violation.field}"], f"breaks {violation.rule}") from None
    if event["task_id"] != message.channel.segments[1]:
        raise RemoteError(402, ["data.task_id"], "is not the task of the channel")
    return dict(event)

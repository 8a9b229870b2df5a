"""From a record to subscribers: read, checked, dropped if seen, routed, published."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from channels.routes import ROUTES, channels_of
from channels.schema import SchemaViolationError, check
from extensions.careflow.metrics import Meters
from extensions.careflow.ports import Absorb, Publisher
from extensions.careflow.records import SHOWN_HEADER, BadRecordError, Record
from extensions.careflow.seen import Moment, Seen

#: Types that come by this road. The others are for single sessions: the presence extension makes them where they are.
TYPES: Final = frozenset(ROUTES) - {"presence.snapshot", "task.base_moved"}
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ACTIVITY: Final = "activity"


class Intake:
    """Handles records: the ``Handle`` of the bus.

    Args:
        publisher: The road to subscribers.
        seen: What they have been shown.
        meters: Counts.
        topic_prefix: Topics that begin so must carry what their name says: ``careflow.task.*`` task events only.
        max_record_bytes: Larger records are refused.
        absorb: Gives task events their effect in the store before they are shown; None where there is no store.
    """

    def __init__(
        self,
        publisher: Publisher,
        seen: Seen,
        meters: Meters,
        *,
        topic_prefix: str,
        max_record_bytes: int,
        absorb: Absorb | None = None,
    ) -> None:
        self.absorb = absorb
        self._publisher = publisher
        self._seen = seen
        self._meters = meters
        self._topic_prefix = topic_prefix
        self._max_record_bytes = max_record_bytes

    async def handle(self, record: Record) -> None:
        """Show the record's event to subscribers, on each channel at most once.

        Raises:
            BadRecordError: If it cannot be used.
            RemoteError: If the server refuses one of its channels.
            OSError: If a dependency is away. What was shown until then is not shown again.
        """
        if any(name == SHOWN_HEADER for name, _ in record.headers):
            self._meters.dropped("shown_before")
            return
        raw, event = self._read(record)
        if self.absorb is not None and event["type"].startswith("task."):
            absorbed = await self._absorb(self.absorb, event)
            if absorbed is None:
                self._meters.dropped("superseded")
                return
            raw, event = absorbed
        await self._show(raw, event)

    async def show(self, raw: bytes) -> None:
        """Show an event of our own, which has had its effect. See :meth:`handle` for the errors."""
        await self._show(raw, msgspec.json.decode(raw))

    def _read(self, record: Record) -> tuple[bytes, dict[str, Any]]:
        raw = record.value
        if raw is None:
            raise BadRecordError("", "value", "found null")
        if record.size_bytes > self._max_record_bytes:
            raise BadRecordError("", "max_record_bytes", f"found {record.size_bytes}")
        try:
            event = msgspec.json.decode(raw)
        except _UNREADABLE as error:
            raise BadRecordError("", "json", type(error).__name__) from None
        if not isinstance(event, dict):
            raise BadRecordError("", "type", "found no object")
        _validate(event)
        self._check_topic(record.partition.topic, event["type"])
        # One line: some transports end an event at a line break.
        return (msgspec.json.format(raw, indent=-1) if b"\n" in raw or b"\r" in raw else raw), event

    def _check_topic(self, topic: str, event_type: str) -> None:
        if not topic.startswith(self._topic_prefix):
            return
        family = topic.removeprefix(self._topic_prefix).partition(".")[0]
        if family != (event_type.partition(".")[0] if "." in event_type else _ACTIVITY):
            raise BadRecordError("type", "topic", "belongs to another topic")

    async def _absorb(self, absorb: Absorb, event: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]] | None:
        try:
            absorbed = await absorb.consume(event)
        except SchemaViolationError as violation:
            raise BadRecordError(violation.field, violation.rule, f"found {violation.value_type}") from None
        if absorbed is None:
            return None
        raw = msgspec.json.encode(absorbed)
        return raw, msgspec.json.decode(raw)

    async def _show(self, raw: bytes, event: Mapping[str, Any]) -> None:
        event_id, moment = event_id_of(event), _moment_of(event)
        channels = self._seen.fresh(event_id, moment, channels_of(event))
        # Who was there is not history: a presence replayed later would be a ghost.
        kept = not event["type"].startswith("presence.")
        for channel in channels:
            await self._publisher.publish(channel, raw, kept=kept)
            self._seen.shown(event_id, moment, channel)
        if channels:
            self._meters.consumed(event["type"])
        else:
            self._meters.dropped("seen")


def event_id_of(event: Mapping[str, Any]) -> str:
    """Return an event's id. Activities are named after the event they come from, in a field of their own."""
    return str(event["event_id"] if "event_id" in event else event["id"])


def _validate(event: Mapping[str, Any]) -> None:
    event_type = event.get("type")
    if not isinstance(event_type, str) or event_type not in TYPES:
        raise BadRecordError("type", "enum", "no such type of event")
    try:
        check(event_type if "." in event_type else _ACTIVITY, event)
    except SchemaViolationError as violation:
        raise BadRecordError(violation.field, violation.rule, f"found {violation.value_type}") from None
    if event_type.startswith("task.") and event["task"].get("id", event["task_id"]) != event["task_id"]:
        raise BadRecordError("task.id", "task_id", "names another task")


def _moment_of(event: Mapping[str, Any]) -> Moment | None:
    """Task events only: the version of a presence event is that of the presence, and skips what was coalesced."""
    return Moment(event["task_id"], event["version"]) if event["type"].startswith("task.") else None

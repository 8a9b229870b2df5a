"""Turns what happens into audit events: the one face of the audit for other extensions and services."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from channels.services.caller import Caller
from channels.views import member_ids_of, task_id_of
from extensions.audit import events
from extensions.audit.log import AuditLog
from extensions.presence.service import TakeOver


class Auditor:
    """Records who was shown what, and what was done against somebody.

    Also a :class:`channels.services.caller.Disclosures`; :meth:`taken_over` is what the presence service audits with.

    Args:
        log: Where it goes.
        node: This node's name, in every event.
        wall: Returns epoch seconds.
    """

    def __init__(self, log: AuditLog, node: str, wall: Callable[[], float]) -> None:
        self.log = log
        self._node = node
        self._wall = wall
        self._late: set[asyncio.Task[None]] = set()

    def delivered(self, user_ids: Iterable[str], payload: Mapping[str, Any], road: str) -> Awaitable[None] | None:
        """Record that an event is about to be shown in full.

        Returns:
            None if that is done; else what must be awaited before the event goes out: the queue is full.
        """
        event = events.disclosure(
            recorded_s=self._wall(),
            node=self._node,
            user_ids=user_ids,
            subjects=[_subject(payload)],
            road=road,
            kind=_text(payload, "type"),
            event_id=_text(payload, "event_id") or None,
        )
        return None if self.log.offer(event) else self.log.put(event)

    async def shown(self, caller: Caller, kind: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """See :meth:`channels.services.caller.Disclosures.shown`."""
        await self.log.put(
            events.disclosure(
                recorded_s=self._wall(),
                node=self._node,
                user_ids=[caller.principal.user_id],
                subjects=[_subject(_identified(kind, document)) for document in documents],
                road="request",
                kind=kind,
            )
        )

    async def taken_over(self, take_over: TakeOver) -> None:
        """Record a broken glass; returns once it is on the disk, so that none is ever broken unrecorded."""
        await self.log.put(
            events.take_over(
                recorded_s=take_over.at_s,
                node=self._node,
                user_id=take_over.by.user_id,
                holder_id=None if take_over.holder is None else take_over.holder.user_id,
                task_id=take_over.task_id,
                field_name=take_over.field_name,
                reason=take_over.reason,
            )
        )
        await self.log.flush()

    def revoked(self, user_id: str, object_type: str, object_id: str) -> None:
        """Record that a revocation was enforced."""
        event = events.revocation(
            recorded_s=self._wall(), node=self._node, user_id=user_id, object_type=object_type, object_id=object_id
        )
        if not self.log.offer(event):
            task = asyncio.ensure_future(self.log.put(event))
            self._late.add(task)
            task.add_done_callback(self._late.discard)


def _subject(payload: Mapping[str, Any]) -> events.Subject:
    return events.Subject(member_ids_of(payload), task_id_of(payload))


def _identified(kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rows name themselves ``id``; everything else says what it is about."""
    if kind == "task":
        return {"task_id": document.get("id"), **document}
    if kind == "member":
        return {"member_id": document.get("id"), **document}
    if kind == "conflict":
        return {"task": document.get("current_task"), **document}
    return document


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    return value if isinstance(value, str) else ""

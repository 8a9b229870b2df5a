"""Divides the audience of every care event: who sees it whole, who redacted, who not at all."""

from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import structlog

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View as Share
from bayeux_server.server.session import Identity, ServerSession
from channels.policy import Permission, Principal
from channels.views import View, ViewNeeds, event_needs, redact, view_of
from extensions.authorization.decisions import Decisions
from extensions.authorization.event_types import EventTypes
from extensions.authorization.ports import Check
from extensions.authorization.questions import MOST_ROUNDS

log = structlog.get_logger()

#: Permissions that a checker is asked about; the others follow from who asks.
ASKED: Final = frozenset({Permission.VIEW, Permission.EDIT, Permission.VIEW_PHI})


class Discloses(Protocol):
    """Hears of PHI before it goes out. See :meth:`extensions.audit.auditor.Auditor.delivered`."""

    def delivered(self, user_ids: Iterable[str], payload: Mapping[str, Any], road: str) -> Awaitable[None] | None:
        """Record it; what is returned must be awaited before the event goes out."""


class _Event(NamedTuple):
    """A publication with all that does not depend on who sees it."""

    publication: Publication
    payload: Mapping[str, Any]
    needs: ViewNeeds
    #: The payload as the redacted view shows it; None if that is the whole of it, so that nothing is to be disclosed.
    redacted: dict[str, object] | None


_Judged = dict[tuple[str, frozenset[str]], View | None]


class CareViews:
    """The :class:`bayeux_server.server.fanout.ViewPolicy` of the care channels.

    Decisions at hand are used without waiting; cold ones are asked for in one bulk while the channel keeps its order.
    """

    def __init__(self, decisions: Decisions, event_types: EventTypes, audit: Discloses | None = None) -> None:
        self._decisions = decisions
        self._event_types = event_types
        self.audit = audit

    def views(
        self, publication: Publication, audience: Collection[ServerSession]
    ) -> Sequence[Share] | Awaitable[Sequence[Share]]:
        """See :meth:`ViewPolicy.views`. What cannot be read is shown to nobody."""
        event = _read(publication)
        if event is None:
            return []
        wanting = self._event_types.wanting(publication.channel, event.payload.get("type"), audience)
        judged: _Judged = {}
        if not self._judge(event, wanting, judged):
            return self._views_later(event, wanting, judged)
        return self._shares(event, wanting, judged)

    async def _views_later(
        self, event: _Event, audience: Collection[ServerSession], judged: _Judged
    ) -> Sequence[Share]:
        for _ in range(MOST_ROUNDS):
            cold = [asker for asker, view in judged.items() if view is None]
            needs = [need for need in (*event.needs.visible, *event.needs.full) if need.permission in ASKED]
            await self._decisions.ensure(Check(user_id, *need) for user_id, _ in cold for need in needs)
            judged.clear()
            if self._judge(event, audience, judged):
                break
        shares = self._shares(event, audience, judged)
        return await shares if isinstance(shares, Awaitable) else shares

    def _judge(self, event: _Event, audience: Collection[ServerSession], judged: _Judged) -> bool:
        """Find the view of every asker in the audience, once for all their sessions. Returns whether none is cold."""
        needs = event.needs if event.redacted is not None else event.needs._replace(full=())
        decide = self._decisions.decide
        warm = True
        for session in audience:
            identity = session.identity
            if identity is None:
                continue
            asker = (identity.user_id, identity.roles)
            if asker not in judged:
                view = judged[asker] = view_of(Principal(*asker), needs, decide)
                warm = warm and view is not None
        return warm

    def _shares(
        self, event: _Event, audience: Collection[ServerSession], judged: _Judged
    ) -> Sequence[Share] | Awaitable[Sequence[Share]]:
        full: list[ServerSession] = []
        redacted: list[ServerSession] = []
        groups = {View.FULL: full, View.REDACTED: redacted}
        for session in audience:
            identity = session.identity
            group = groups.get(_view(judged, identity)) if identity is not None else None
            if group is not None:
                group.append(session)
        shares: list[Share] = [(event.publication, full)] if full else []
        if event.redacted is not None and redacted:
            shares.append((_as_redacted(event.publication, event.redacted), redacted))
        if event.redacted is None or not full or self.audit is None:
            return shares
        users = dict.fromkeys(session.identity.user_id for session in full if session.identity is not None)
        waiting = self.audit.delivered(users, event.payload, "delivery")
        return shares if waiting is None else _after(waiting, shares)


def needs_of(publication: Publication) -> tuple[Mapping[str, Any], ViewNeeds] | None:
    """Return an event's payload and what decides its view; None if it cannot be read or is no care event."""
    try:
        payload = msgspec.json.decode(publication.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    needs = event_needs(publication.channel, payload)
    return None if needs is None or not isinstance(payload, dict) else (payload, needs)


def _read(publication: Publication) -> _Event | None:
    read = needs_of(publication)
    if read is None:
        log.warning("event.unreadable", channel_kind=publication.channel.segments[0])
        return None
    payload, needs = read
    shown = redact(str(payload.get("type")), payload)
    return _Event(publication, payload, needs, None if shown == payload else shown)


def _view(judged: _Judged, identity: Identity) -> View:
    """Who is still not judged sees nothing."""
    return judged.get((identity.user_id, identity.roles)) or View.HIDDEN


def _as_redacted(publication: Publication, payload: dict[str, object]) -> Publication:
    return Publication(publication.channel, msgspec.json.encode(payload), publication.ext, publication.lazy)


async def _after(waiting: Awaitable[None], shares: Sequence[Share]) -> Sequence[Share]:
    await waiting
    return shares

"""Divides the audience of every care event: who sees it whole, who redacted, who not at all."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import structlog

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View as Share
from bayeux_server.server.session import ServerSession
from channels.policy import SYSTEM_ROLE, Need, Permission, Principal, decided
from channels.views import View, ViewNeeds, event_needs, redact, view_of, without_phi
from extensions.authorization.decisions import Decisions
from extensions.authorization.event_types import EventTypes
from extensions.authorization.ports import Check
from extensions.authorization.questions import MOST_ROUNDS

log = structlog.get_logger()

#: Permissions that a checker is asked about; the others follow from who asks.
ASKED: Final = frozenset({Permission.VIEW, Permission.EDIT, Permission.VIEW_PHI})
_A_SERVICE: Final = Principal("", frozenset({SYSTEM_ROLE}))


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


class _Division:
    """An audience, divided. ``cold`` are users about whom a decision is missing."""

    __slots__ = ("cold", "full", "redacted")

    def __init__(self) -> None:
        self.full: list[ServerSession] = []
        self.redacted: list[ServerSession] = []
        self.cold: list[str] = []


#: Tells whether a user meets a need; None if that is not known yet.
_Reader = Callable[[str], bool | None]


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
        division = self._divide(event, wanting)
        return self._views_later(event, wanting, division) if division.cold else self._shares(event, division)

    async def _views_later(
        self, event: _Event, audience: Collection[ServerSession], division: _Division
    ) -> Sequence[Share]:
        needs = [need for need in (*event.needs.visible, *event.needs.full) if need.permission in ASKED]
        for _ in range(MOST_ROUNDS):
            await self._decisions.ensure(Check(user_id, *need) for user_id in division.cold for need in needs)
            division = self._divide(event, audience)
            if not division.cold:
                break
        shares = self._shares(event, division)
        return await shares if isinstance(shares, Awaitable) else shares

    def _divide(self, event: _Event, audience: Collection[ServerSession]) -> _Division:
        """Find everyone's view, once for all sessions of a user. Who is cold is in no group, and so sees nothing."""
        division = _Division()
        groups: dict[View | None, list[ServerSession]] = {View.FULL: division.full, View.REDACTED: division.redacted}
        judge = self._judge(event.needs)
        judged: dict[str, list[ServerSession] | None] = {}
        for session in audience:
            identity = session.identity
            if identity is None:
                continue
            # All services are judged alike, and no user has an empty id.
            user_id = identity.user_id if SYSTEM_ROLE not in identity.roles else ""
            if user_id in judged:
                group = judged[user_id]
            else:
                view = judge(user_id)
                group = judged[user_id] = groups.get(view)
                if view is None:
                    division.cold.append(user_id)
            if group is not None:
                group.append(session)
        return division

    def _judge(self, needs: ViewNeeds) -> Callable[[str], View | None]:
        """Return :func:`channels.views.view_of` for one event and many users."""
        visible, full = list(map(self._reader, needs.visible)), list(map(self._reader, needs.full))
        of_service = view_of(_A_SERVICE, needs, self._decisions.decide)

        def judge(user_id: str) -> View | None:
            if not user_id:
                return of_service
            sees = _all(visible, user_id)
            if not sees:
                return None if sees is None else View.HIDDEN
            sees_all = _all(full, user_id)
            return None if sees_all is None else View.FULL if sees_all else needs.otherwise

        return judge

    def _reader(self, need: Need) -> _Reader:
        if need.permission in ASKED:
            return self._decisions.reader(*need)
        # What remains follows from who asks, and is never cold.
        return lambda user_id: decided(Principal(user_id), need, self._decisions.decide)

    def _shares(self, event: _Event, division: _Division) -> Sequence[Share] | Awaitable[Sequence[Share]]:
        full, redacted = division.full, division.redacted
        shares: list[Share] = [(event.publication, full)] if full else []
        if event.redacted is not None and redacted:
            shares.append((_as_redacted(event.publication, event.redacted), redacted))
        if event.redacted is None or not full or self.audit is None:
            return shares
        users = dict.fromkeys(session.identity.user_id for session in full if session.identity is not None)
        waiting = self.audit.delivered(users, event.payload, "delivery")
        return shares if waiting is None else _after(waiting, shares)


def _all(readers: Sequence[_Reader], user_id: str) -> bool | None:
    answer: bool | None = True
    for read in readers:
        decision = read(user_id)
        if decision is False:
            return False
        if decision is None:
            answer = None
    return answer


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
    if shown == payload:
        return _Event(publication, payload, without_phi(needs), None)
    return _Event(publication, payload, needs, shown)


def _as_redacted(publication: Publication, payload: dict[str, object]) -> Publication:
    return Publication(publication.channel, msgspec.json.encode(payload), publication.ext, publication.lazy)


async def _after(waiting: Awaitable[None], shares: Sequence[Share]) -> Sequence[Share]:
    await waiting
    return shares

"""Divides the audience of every care event: who sees it whole, who redacted, who not at all."""

from collections import defaultdict
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from itertools import chain, compress
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


class _Division(NamedTuple):
    """An audience, divided."""

    full: list[ServerSession]
    redacted: list[ServerSession]
    #: Users about whom a decision is missing. They are in no group, and so see nothing.
    cold: list[str]


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
        """Find everyone's view as :func:`channels.views.view_of` does, but one need after the other for all users.

        Who is cold is in no group, and so sees nothing.
        """
        needs = event.needs
        people, services = _grouped(audience)
        seeing = self._meet(needs.visible, people)
        seers = list(compress(people, seeing))
        whole = self._meet(needs.full, seers)
        groups: dict[View | None, list[ServerSession]] = {view: [] for view in View}
        groups[needs.otherwise] += _sessions(people, _with(False, seers, whole))
        groups[View.FULL] += _sessions(people, compress(seers, whole))
        groups[view_of(_A_SERVICE, needs, self._decisions.decide)] += services
        return _Division(
            groups[View.FULL], groups[View.REDACTED], [*_with(None, people, seeing), *_with(None, seers, whole)]
        )

    def _meet(self, needs: Iterable[Need], user_ids: Collection[str]) -> list[bool | None]:
        """Return whether each user meets all needs: false if one is not met, else None if one is not known yet."""
        verdicts: list[bool | None] = [True] * len(user_ids)
        for need in needs:
            decisions = self._decided(need, user_ids)
            verdicts = [
                each is not False and (so_far and each) for so_far, each in zip(verdicts, decisions, strict=True)
            ]
        return verdicts

    def _decided(self, need: Need, user_ids: Collection[str]) -> list[bool | None]:
        if need.permission in ASKED:
            return self._decisions.decide_all(user_ids, *need)
        # What remains follows from who asks, and is never cold.
        return [decided(Principal(user_id), need, self._decisions.decide) for user_id in user_ids]

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


def _grouped(audience: Iterable[ServerSession]) -> tuple[dict[str, list[ServerSession]], list[ServerSession]]:
    """Return the sessions of each person, and those of services, who are judged alike. Anonymous ones see nothing."""
    people: defaultdict[str, list[ServerSession]] = defaultdict(list)
    services: list[ServerSession] = []
    for session in audience:
        identity = session.identity
        if identity is None:
            continue
        if SYSTEM_ROLE in identity.roles:
            services.append(session)
        else:
            people[identity.user_id].append(session)
    return people, services


def _sessions(people: Mapping[str, list[ServerSession]], user_ids: Iterable[str]) -> Iterable[ServerSession]:
    return chain.from_iterable(map(people.__getitem__, user_ids))


def _with(sought: bool | None, user_ids: Iterable[str], verdicts: Sequence[bool | None]) -> list[str]:
    if sought not in verdicts:
        return []
    return [user_id for user_id, verdict in zip(user_ids, verdicts, strict=True) if verdict is sought]


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

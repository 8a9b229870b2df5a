"""Operations on members and service requests: minimal, for the feed and the tasks refer to them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from bayeux_server.server.clock import Clock
from channels.policy import view_phi, view_team
from channels.services.caller import Caller, NewId, Reply
from channels.services.commits import commit_of_member, commit_of_record
from channels.services.errors import AlreadyExistsError, ForbiddenError, NotFoundError, UnknownReferenceError
from channels.services.idempotency import Once
from channels.services.presenter import Presenter, document_of
from channels.stores.port import CareStore, ReplyExistsError
from channels.stores.records import Commit, StoredReply
from channels.subjects import Member, MemberContacted, NoteAdded, ServiceRequest, SubjectRecord
from channels.timestamps import iso_utc_ms
from channels.views import View


class Subjects:
    """Creates, reads and changes members and service requests, and records what is done about them.

    Every method takes a body that has passed its schema and raises :class:`channels.services.errors.CareError`. Whoever
    may not see a member's PHI does not know the member.
    """

    def __init__(self, store: CareStore, presenter: Presenter, clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._presenter = presenter
        self._clock = clock
        self._new_id = new_id

    async def create_member(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Create a member (``body.member.create``) of a team that the caller belongs to."""
        once = Once("member.create", caller, body, key)
        if stored := await once.answered(self._store):
            return await self._again(caller, "member", stored)
        _check_id(caller, body)
        if "team_id" not in body and not caller.principal.is_system:
            # Nobody would see the member, the caller included.
            raise UnknownReferenceError("team_id")
        await self._check_team(caller, body.get("team_id"))
        member = Member(id=body.get("id") or self._new_id("member"), name=body["name"], team_id=body.get("team_id"))
        if await self._store.member(member.id) is not None:
            raise AlreadyExistsError
        return await self._written(201, caller, member, commit_of_member(None, member), once)

    async def get_member(self, caller: Caller, body: Mapping[str, Any], _key: str | None) -> Reply:
        """Return a member (``body.member.get``)."""
        return await self._told(200, caller, await self._member(caller, body["member_id"]))

    async def update_member(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Change a member's name or team (``body.member.update``)."""
        once = Once("member.update", caller, body, key)
        before = await self._member(caller, body["member_id"])
        await self._check_team(caller, body.get("team_id"))
        changes = {name: value for name, value in body.items() if name != "member_id"}
        after = msgspec.structs.replace(before, **changes)
        return await self._written(200, caller, after, commit_of_member(before, after), once)

    async def note_member(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Add a note to a member (``body.member.note``): causes ``note_added``."""
        member = await self._member(caller, body["member_id"])
        note = self._note(caller, member, "member", member.id, member.name, body["text"])
        return await self._recorded(caller, note, Once("member.note", caller, body, key))

    async def contact_member(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Record a contact with a member (``body.member.contact``): causes ``member_contacted``."""
        member = await self._member(caller, body["member_id"])
        contact = MemberContacted(
            id=self._new_id("contact"),
            member_id=member.id,
            name=member.name,
            method=body["method"],
            outcome=body["outcome"],
            by=caller.user,
            at=self._now(),
            note=body.get("note"),
            team_id=member.team_id,
        )
        return await self._recorded(caller, contact, Once("member.contact", caller, body, key))

    async def create_service_request(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Create a service request of a member (``body.service_request.create``)."""
        once = Once("service_request.create", caller, body, key)
        if stored := await once.answered(self._store):
            return await self._again(caller, "service_request", stored)
        _check_id(caller, body)
        member = await self._known(caller, body["member_id"])
        if member is None:
            raise UnknownReferenceError("member_id")
        await self._check_team(caller, body.get("team_id"))
        request = ServiceRequest(
            id=body.get("id") or self._new_id("sr"),
            name=body["name"],
            member_id=member.id,
            team_id=body.get("team_id") or member.team_id,
        )
        if await self._store.service_request(request.id) is not None:
            raise AlreadyExistsError
        return await self._written(201, caller, request, Commit(service_requests=(request,)), once)

    async def get_service_request(self, caller: Caller, body: Mapping[str, Any], _key: str | None) -> Reply:
        """Return a service request (``body.service_request.get``)."""
        request, _ = await self._request(caller, body["service_request_id"])
        return await self._told(200, caller, request)

    async def update_service_request(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Change a service request's name or status (``body.service_request.update``)."""
        once = Once("service_request.update", caller, body, key)
        request, _ = await self._request(caller, body["service_request_id"])
        changes = {name: value for name, value in body.items() if name != "service_request_id"}
        after = msgspec.structs.replace(request, **changes)
        return await self._written(200, caller, after, Commit(service_requests=(after,)), once)

    async def note_service_request(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Add a note to a service request (``body.service_request.note``): causes ``note_added``."""
        request, member = await self._request(caller, body["service_request_id"])
        note = self._note(caller, member, "service_request", request.id, request.name, body["text"])
        once = Once("service_request.note", caller, body, key)
        return await self._recorded(caller, msgspec.structs.replace(note, team_id=request.team_id), once)

    def _note(self, caller: Caller, member: Member, kind: Any, subject_id: str, name: str, text: str) -> NoteAdded:
        return NoteAdded(
            id=self._new_id("note"),
            subject_type=kind,
            subject_id=subject_id,
            name=name,
            member_id=member.id,
            text=text,
            by=caller.user,
            at=self._now(),
            team_id=member.team_id,
        )

    async def _recorded(self, caller: Caller, record: SubjectRecord, once: Once) -> Reply:
        if stored := await once.answered(self._store):
            return Reply(stored.status, msgspec.json.decode(stored.body))
        body = {"id": record.id}
        try:
            await self._store.commit(commit_of_record(record, reply=once.reply(201, body, record.at)))
        except ReplyExistsError:
            return await self._recorded(caller, record, once)
        return Reply(201, body)

    async def _written(
        self, status: int, caller: Caller, subject: Member | ServiceRequest, commit: Commit, once: Once
    ) -> Reply:
        if stored := await once.answered(self._store):
            return await self._again(caller, _kind(subject), stored)
        reply = once.reply(status, subject, self._now())
        try:
            await self._store.commit(msgspec.structs.replace(commit, reply=reply))
        except ReplyExistsError:
            return await self._written(status, caller, subject, commit, once)
        return await self._told(status, caller, subject)

    async def _again(self, caller: Caller, kind: str, stored: StoredReply) -> Reply:
        """Answer as before, if the caller may see it today."""
        [seen] = await self._presenter.shown(caller, kind, [msgspec.json.decode(stored.body)])
        if seen is None:
            raise NotFoundError
        return Reply(stored.status, seen)

    async def _told(self, status: int, caller: Caller, subject: Member | ServiceRequest) -> Reply:
        """Answer with a subject whole: that the caller may see it was asked before."""
        [document] = await self._presenter.shown_as(caller, _kind(subject), [(View.FULL, document_of(subject))])
        return Reply(status, document or {})

    async def _member(self, caller: Caller, member_id: str) -> Member:
        member = await self._known(caller, member_id)
        if member is None:
            raise NotFoundError
        return member

    async def _known(self, caller: Caller, member_id: str) -> Member | None:
        member = await self._store.member(member_id)
        known = member is not None and await self._presenter.permits(caller, view_phi(member_id))
        return member if known else None

    async def _request(self, caller: Caller, request_id: str) -> tuple[ServiceRequest, Member]:
        request = await self._store.service_request(request_id)
        if request is None:
            raise NotFoundError
        return request, await self._member(caller, request.member_id)

    async def _check_team(self, caller: Caller, team_id: str | None) -> None:
        if team_id is not None and not await self._presenter.permits(caller, view_team(team_id)):
            raise UnknownReferenceError("team_id")

    def _now(self) -> str:
        return iso_utc_ms(self._clock.wall())


def _check_id(caller: Caller, body: Mapping[str, Any]) -> None:
    """Ids are chosen by services alone: to anybody else "the id is taken" would tell who is a patient."""
    if "id" in body and not caller.principal.is_system:
        raise ForbiddenError


def _kind(subject: Member | ServiceRequest) -> str:
    return "member" if isinstance(subject, Member) else "service_request"

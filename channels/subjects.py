"""What tasks are about: members (patients) and service requests, and what is recorded of them. Pure."""

from typing import Literal

from msgspec import Struct

from channels.tasks.model import User


class Member(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A patient, as far as the feed and the tasks need one."""

    id: str
    name: str
    team_id: str | None = None


class ServiceRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something a member asked for."""

    id: str
    name: str
    member_id: str
    status: Literal["open", "closed"] = "open"
    team_id: str | None = None


class NoteAdded(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="note_added"):
    """A note on a member or a service request. ``name`` is the subject's, ``member_id`` whom it is about."""

    id: str
    subject_type: Literal["member", "service_request"]
    subject_id: str
    name: str
    member_id: str
    text: str
    by: User
    at: str
    team_id: str | None = None


class MemberContacted(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="member_contacted"):
    """A member was contacted, or somebody tried to. ``method`` and ``outcome`` are those of ``body.member.contact``."""

    id: str
    member_id: str
    name: str
    method: str
    outcome: str
    by: User
    at: str
    note: str | None = None
    team_id: str | None = None


SubjectRecord = NoteAdded | MemberContacted

"""Who a session is to the others: from its verified identity, never from what it sends."""

from collections.abc import Mapping
from hashlib import blake2s
from typing import Any, Final

from bayeux_server.errors import RemoteError
from bayeux_server.server.identity import Identity
from bayeux_server.server.session import ServerSession
from channels.presence.model import Person

#: The design's roles, in the order in which one of several is shown.
ROLES: Final = ("care_coordinator", "clinician", "rsa", "system")


def person_of(session: ServerSession) -> Person:
    """Return the person behind a session.

    Raises:
        RemoteError: 403 for an anonymous session, and for a user without a role of the care application.
    """
    return person_named_by(session.identity)


def person_named_by(identity: Identity | None) -> Person:
    """Return the person a verified identity names. Raises as :func:`person_of`."""
    if identity is None:
        raise RemoteError(403, [], "presence_needs_a_user")
    claims = identity.claims
    role = _role(identity)
    name = _text(claims, "user_name") or _text(claims, "name") or identity.user_id
    return Person(identity.user_id, name, role, _text(claims, "avatar_url") or _text(claims, "picture"))


def presence_id(session_id: str) -> str:
    """Return a name for a session that may be stored and told: its id is secret, and this does not lead back to it."""
    return blake2s(session_id.encode(), digest_size=16, person=b"presence").hexdigest()


def _role(identity: Identity) -> str:
    found = next((role for role in ROLES if role in identity.roles), None)
    if found is None:
        raise RemoteError(403, [], "presence_needs_a_role")
    return found


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value else None

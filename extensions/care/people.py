"""From a verified identity to the caller of an operation."""

from bayeux_server.errors import RemoteError
from bayeux_server.refusals import TOKEN_MISSING
from bayeux_server.server.identity import Identity
from channels.policy import Principal
from channels.services.caller import Caller
from channels.services.errors import CareError
from channels.tasks.model import User
from extensions.presence.people import person_named_by, presence_id


class UnauthenticatedError(CareError):
    """Nobody is named, or nobody of the care application.

    ``reason`` is ``token_missing``, ``role_missing``, or what is wrong with the token: see
    :mod:`extensions.authentication.tokens`.
    """

    status = 401
    error = "UNAUTHENTICATED"
    message = "A valid token of a user with a role in the care application is needed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)


def caller_of(identity: Identity | None, session_id: str | None = None) -> Caller:
    """Return who calls, and from which session if its id is given.

    Raises:
        UnauthenticatedError: If there is no identity, or it has no role that the care application knows.
    """
    if identity is None:
        raise UnauthenticatedError(TOKEN_MISSING)
    try:
        person = person_named_by(identity)
    except RemoteError as error:
        raise UnauthenticatedError("role_missing") from error
    user = User(person.user_id, person.user_name, person.user_role, person.avatar_url)
    session = presence_id(session_id) if session_id else None
    return Caller(user, Principal(person.user_id, identity.roles), session)

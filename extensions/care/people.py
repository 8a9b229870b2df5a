"""From a verified identity to the caller of an operation."""

from bayeux_server.errors import RemoteError
from bayeux_server.refusals import TOKEN_MISSING
from bayeux_server.server.session import Identity
from channels.policy import Principal
from channels.services.caller import Caller
from channels.services.errors import CareError
from channels.tasks.model import User
from extensions.presence.people import person_named_by


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


def caller_of(identity: Identity | None) -> Caller:
    """Return who calls.

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
    return Caller(user, Principal(person.user_id, identity.roles))

"""From a verified identity to the caller of an operation."""

from bayeux_server.errors import RemoteError
from bayeux_server.server.session import Identity
from channels.policy import Principal
from channels.services.caller import Caller
from channels.services.errors import CareError
from channels.tasks.model import User
from extensions.presence.people import person_named_by


class UnauthenticatedError(CareError):
    """Nobody is named, or nobody of the care application."""

    status = 401
    error = "UNAUTHENTICATED"
    message = "A valid token of a user with a role in the care application is needed"


def caller_of(identity: Identity | None) -> Caller:
    """Return who calls.

    Raises:
        UnauthenticatedError: If there is no identity, or it has no role that the care application knows.
    """
    try:
        person = person_named_by(identity)
    except RemoteError as error:
        raise UnauthenticatedError from error
    roles = identity.roles if identity is not None else frozenset()
    user = User(person.user_id, person.user_name, person.user_role, person.avatar_url)
    return Caller(user, Principal(person.user_id, roles))

"""What an operation refuses, and how: the same status and body over HTTP and as a remote call.

No body tells a value that was sent, nor whether something exists that the caller may not see.
"""

from collections.abc import Mapping
from typing import Any

from channels.schema import SchemaViolationError


class CareError(Exception):
    """Base of the refusals.

    Attributes:
        status: As in HTTP.
        body: What is answered: ``error``, a code in capitals, ``message``, a sentence, and what the code brings.
    """

    status = 500
    error = "INTERNAL"
    message = "The request failed"

    def __init__(self, message: str | None = None, **more: Any) -> None:
        self.body: Mapping[str, Any] = {"error": self.error, "message": message or self.message, **more}
        super().__init__(self.body["message"])


class InvalidBodyError(CareError):
    """The body breaks its schema."""

    status = 400
    error = "INVALID_BODY"

    @classmethod
    def of(cls, violation: SchemaViolationError) -> "InvalidBodyError":
        """Return the refusal that tells field, rule and type, as the violation does."""
        return cls(str(violation), field=violation.field, rule=violation.rule, value_type=violation.value_type)


class ForbiddenError(CareError):
    """The caller may see the thing, but not do this to it."""

    status = 403
    error = "FORBIDDEN"
    message = "You may not do this"


class NotFoundError(CareError):
    """There is no such thing, or the caller may not see it: the answer is the same."""

    status = 404
    error = "NOT_FOUND"
    message = "There is no such thing, or you may not see it"


class VersionConflictError(CareError):
    """The task was changed since the version the caller knows. The body is the design's ``ConflictError`` and more."""

    status = 409
    error = "CONFLICT"

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(body["message"])
        self.body = body


class LockedError(CareError):
    """A field is locked by another user, or the caller's lock was lost. The body is the lock guard's."""

    status = 409
    error = "LOCKED"

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(str(body["message"]))
        self.body = body


class InvalidTransitionError(CareError):
    """The status may not follow the one the task has."""

    status = 409
    error = "INVALID_TRANSITION"


class AlreadyExistsError(CareError):
    """The id is taken."""

    status = 409
    error = "ALREADY_EXISTS"
    message = "The id is taken"


class BusyError(CareError):
    """The task changes faster than this operation can follow. Try again."""

    status = 409
    error = "BUSY"
    message = "The task is being changed by others: try again"


class UnknownReferenceError(CareError):
    """A field names something that does not exist, or that the caller may not see."""

    status = 422
    error = "UNKNOWN_REFERENCE"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} names nothing that you may refer to", field=field)


class KeyReusedError(CareError):
    """The idempotency key was used for another request."""

    status = 422
    error = "IDEMPOTENCY_KEY_REUSED"
    message = "The idempotency key was used for another request"


class VersionRequiredError(CareError):
    """The request does not say which version it is based on."""

    status = 428
    error = "VERSION_REQUIRED"
    message = "Name the version you change: If-Match, or version in the body"

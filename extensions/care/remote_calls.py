"""The operations as Bayeux remote calls: ``task.update`` is ``/service/task/update``, with the body of HTTP.

A call may carry ``idempotency_key`` beside the body's fields. A refusal is an answer with ``successful`` false and the
body that HTTP has, plus its ``status``.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.remote_call import CallRefusedError, RemoteCall
from channels.schema import SchemaViolationError, type_name
from channels.services.care import CareService
from channels.services.errors import CareError, InvalidBodyError
from extensions.care.people import caller_of

log = structlog.get_logger()

KEY: Final = "idempotency_key"
MAX_KEY_CHARACTERS: Final = 255


class UnavailableError(CareError):
    """The store cannot be reached."""

    status = 503
    error = "UNAVAILABLE"
    message = "The store cannot be reached: try again"


def serve(server: BayeuxServer, service: CareService) -> None:
    """Serve every operation on its channel."""
    for operation in service.operations:
        server.service(channel_of(operation))(_handler(service, operation))


def channel_of(operation: str) -> str:
    """Return the service channel of an operation."""
    return "/service/" + operation.replace(".", "/")


def _handler(service: CareService, operation: str) -> Callable[[RemoteCall], Awaitable[object]]:
    async def handle(call: RemoteCall) -> object:
        try:
            return await _call(service, operation, call)
        except CareError as error:
            raise CallRefusedError(error.status, str(error), {**error.body, "status": error.status}) from error

    return handle


async def _call(service: CareService, operation: str, call: RemoteCall) -> object:
    caller = caller_of(call.session.identity, call.session.id)
    body = {} if call.data is None else call.data
    key = None
    if isinstance(body, dict) and KEY in body:
        key = checked_key(body[KEY], f"body.{operation}", KEY)
        body = {name: value for name, value in body.items() if name != KEY}
    try:
        return (await service.call(operation, caller, body, key)).body
    except OSError as error:
        log.warning("care.store_unavailable", operation=operation, error=type(error).__name__)
        raise UnavailableError from error


def checked_key(key: object, schema: str, field: str) -> str:
    """Return an idempotency key.

    Raises:
        InvalidBodyError: If it is no text of 1 to 255 characters, or has NUL among them.
    """
    if not isinstance(key, str):
        raise InvalidBodyError.of(SchemaViolationError(schema, field, "type", type_name(key)))
    if 1 <= len(key) <= MAX_KEY_CHARACTERS and "\0" not in key:
        return key
    rule = "minLength" if not key else "maxLength" if len(key) > MAX_KEY_CHARACTERS else "pattern"
    raise InvalidBodyError.of(SchemaViolationError(schema, field, rule, "string"))

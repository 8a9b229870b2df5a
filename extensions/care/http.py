"""The operations over HTTP. One table says which request is which operation."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from aiohttp import web

from bayeux_server.errors import RemoteError
from bayeux_server.refusals import challenge
from bayeux_server.server.identity import Identity
from channels.schema import SchemaViolationError, care_schemas, type_name
from channels.services.caller import Reply
from channels.services.care import CareService
from channels.services.errors import CareError, InvalidBodyError
from extensions.care.people import UnauthenticatedError, caller_of
from extensions.care.remote_calls import UnavailableError, checked_key

log = structlog.get_logger()

KEY_HEADER: Final = "Idempotency-Key"
#: Names the page's Bayeux session: it stays present on the task, and is not warned of its own change.
CLIENT_HEADER: Final = "Bayeux-Client-Id"
#: ``"7"``, and FHIR's ``W/"7"``.
_ETAG: Final = re.compile(r'(?:W/)?"(\d{1,18})"')
_MAX_BODY_BYTES: Final = 262_144

#: Finds who sent a request.
Identify = Callable[[web.Request], Awaitable[Identity | None]]


class Call(NamedTuple):
    """Which operation a request is.

    Attributes:
        method: Of HTTP.
        path: With ``{field}`` for fields of the body that stand in it.
        operation: See :attr:`CareService.operations`.
        answer: Component of the OpenAPI document that describes the body of a success.
        versioned: Whether ``If-Match`` names the version the request is based on.
    """

    method: str
    path: str
    operation: str
    answer: str
    versioned: bool = False

    @property
    def has_body(self) -> bool:
        """Whether fields come in a JSON body; else in the query."""
        return self.method in ("POST", "PATCH")


CALLS: Final = (
    Call("POST", "/api/tasks", "task.create", "task_answer"),
    Call("GET", "/api/tasks", "task.list", "task_page"),
    Call("GET", "/api/tasks/{task_id}", "task.get", "task_answer"),
    Call("PATCH", "/api/tasks/{task_id}", "task.update", "task_answer", versioned=True),
    Call("DELETE", "/api/tasks/{task_id}", "task.delete", "task_answer", versioned=True),
    Call("POST", "/api/tasks/{task_id}/assign", "task.assign", "task_answer", versioned=True),
    Call("POST", "/api/tasks/{task_id}/complete", "task.complete", "task_answer", versioned=True),
    Call("GET", "/api/tasks/{task_id}/versions", "task.versions", "version_page"),
    Call("POST", "/api/members", "member.create", "member"),
    Call("GET", "/api/members/{member_id}", "member.get", "member"),
    Call("PATCH", "/api/members/{member_id}", "member.update", "member"),
    Call("POST", "/api/members/{member_id}/notes", "member.note", "recorded"),
    Call("POST", "/api/members/{member_id}/contacts", "member.contact", "recorded"),
    Call("POST", "/api/service_requests", "service_request.create", "service_request"),
    Call("GET", "/api/service_requests/{service_request_id}", "service_request.get", "service_request"),
    Call("PATCH", "/api/service_requests/{service_request_id}", "service_request.update", "service_request"),
    Call("POST", "/api/service_requests/{service_request_id}/notes", "service_request.note", "recorded"),
    Call("GET", "/api/activity", "activity.list", "activity_page"),
    Call("GET", "/api/notifications", "notification.list", "notification_page"),
    Call("POST", "/api/notifications/read", "notification.read", "unread"),
)


class CareApi:
    """Turns requests into operations, and replies and refusals into responses."""

    def __init__(self, service: CareService, identify: Identify) -> None:
        self._service = service
        self._identify = identify

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [web.route(call.method, call.path, self._handler(call)) for call in CALLS]

    def _handler(self, call: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                return _response(await self._run(call, request))
            except CareError as error:
                return _refusal(error)

        return handle

    async def _run(self, call: Call, request: web.Request) -> Reply:
        caller = caller_of(await self._identity(request), request.headers.get(CLIENT_HEADER))
        schema = f"body.{call.operation}"
        body = await _json_body(request, schema) if call.has_body else _query(request, schema)
        body = _with_path(body, request.match_info, schema)
        if call.versioned:
            body = _with_version(body, request.headers.get("If-Match"), schema)
        key = request.headers.get(KEY_HEADER)
        if key is not None:
            key = checked_key(key, schema, KEY_HEADER)
        try:
            return await self._service.call(call.operation, caller, body, key)
        except OSError as error:
            log.warning("care.store_unavailable", operation=call.operation, error=type(error).__name__)
            raise UnavailableError from error

    async def _identity(self, request: web.Request) -> Identity | None:
        try:
            return await self._identify(request)
        except RemoteError as error:
            if error.code == 503:
                raise _TokenKeysUnavailableError from error
            raise UnauthenticatedError(error.text) from error


class _TokenKeysUnavailableError(CareError):
    status = 503
    error = "UNAVAILABLE"
    message = "The token cannot be judged now: try again"


class _TooLargeError(CareError):
    status = 413
    error = "TOO_LARGE"
    message = f"A body has at most {_MAX_BODY_BYTES} bytes"


async def _json_body(request: web.Request, schema: str) -> dict[str, Any]:
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise _TooLargeError from error
    if len(raw) > _MAX_BODY_BYTES:
        raise _TooLargeError
    try:
        body = msgspec.json.decode(raw) if raw else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBodyError.of(SchemaViolationError(schema, "", "json", "unknown")) from error
    if not isinstance(body, dict):
        raise InvalidBodyError.of(SchemaViolationError(schema, "", "type", type_name(body)))
    return body


def _query(request: web.Request, schema: str) -> dict[str, Any]:
    """Return the query as the schema's fields: arrays by repetition, numbers and truth values by their spelling.

    A field that is no array is left an array where it is repeated, for the schema to refuse.
    """
    properties: Mapping[str, Any] = care_schemas().documents[schema]["properties"]  # type: ignore[assignment]
    return {
        name: _typed(properties.get(name, {}), [str(value) for value in request.query.getall(name)])
        for name in request.query
    }


def _typed(schema: Mapping[str, Any], texts: list[str]) -> Any:
    kind = care_schemas().resolved(schema).get("type")
    if kind == "array" or len(texts) > 1:
        return texts
    text = texts[0]
    if kind == "integer" and re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _with_path(body: dict[str, Any], fields: Mapping[str, str], schema: str) -> dict[str, Any]:
    for name, value in fields.items():
        if body.get(name, value) != value:
            raise InvalidBodyError.of(SchemaViolationError(schema, name, "path", "string"))
    return {**body, **fields}


def _with_version(body: dict[str, Any], if_match: str | None, schema: str) -> dict[str, Any]:
    if if_match is None:
        return body
    match = _ETAG.fullmatch(if_match.strip())
    if match is None or body.get("version", int(match[1])) != int(match[1]):
        raise InvalidBodyError.of(SchemaViolationError(schema, "If-Match", "version", "string"))
    return {**body, "version": int(match[1])}


def _response(reply: Reply) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if reply.version is not None:
        headers["ETag"] = f'"{reply.version}"'
    return _json(reply.status, reply.body, headers)


def _refusal(error: CareError) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if error.status == 401:
        headers |= challenge(str(error.body["reason"]))
    if error.status == 503:
        headers["Retry-After"] = "1"
    return _json(error.status, error.body, headers)


def _json(status: int, body: Mapping[str, Any], headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)

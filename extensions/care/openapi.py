"""The care operations in the OpenAPI document: made of the table of calls and of the packaged schemas."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from channels.schema import care_schemas
from extensions.care.answers import ANSWERS, ref
from extensions.care.http import CALLS, CLIENT_HEADER, KEY_HEADER, Call

_REF: Final = re.compile(r"urn:care:([^#]+)(?:#(.*))?")
_REFUSALS: Final[Mapping[str, str]] = {
    "400": "The request breaks its schema; the body names the field and the rule",
    "401": "No valid token",
    "403": "The caller may see it, but not do this",
    "404": "There is no such thing, or the caller may not see it",
    "409": "Conflict, lock, or a change of status that is not possible",
    "413": "The body is too large",
    "422": "A field names something that does not exist, or an idempotency key was used for another request",
    "428": "The version is missing: If-Match, or version in the body",
    "503": "The store, or what tokens are judged by, cannot be reached",
}


def paths() -> dict[str, Any]:
    """Return the path items of all calls."""
    items: dict[str, Any] = {}
    for call in CALLS:
        items.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return items


def components() -> dict[str, Any]:
    """Return the packaged schemas as components, and what only HTTP has."""
    packaged = {name: _rewritten(document) for name, document in care_schemas().documents.items()}
    return {**packaged, **ANSWERS}


def _operation(call: Call) -> dict[str, Any]:
    schema: Mapping[str, Any] = care_schemas().documents[f"body.{call.operation}"]
    in_path = re.findall(r"\{(\w+)\}", call.path)
    operation: dict[str, Any] = {
        "operationId": call.operation,
        "summary": schema.get("title", call.operation),
        "security": [{"bearer": []}],
        "parameters": list(_parameters(call, schema, in_path)),
        "responses": {
            "201" if call.operation.endswith((".create", ".note", ".contact")) else "200": _answer(call.answer, "Done"),
            **{
                status: _answer("not_written" if status == "409" else "refusal", text)
                for status, text in _REFUSALS.items()
                if _may_refuse(call, status)
            },
        },
    }
    if call.has_body:
        body = _without(schema, in_path)
        required = bool(body.get("required"))
        operation["requestBody"] = {
            "required": required,
            "content": {"application/json": {"schema": _rewritten(body)}},
        }
    return operation


def _may_refuse(call: Call, status: str) -> bool:
    if status == "428":
        return call.operation == "task.update"
    return call.method != "GET" if status in ("409", "422") else call.has_body or status != "413"


def _parameters(call: Call, schema: Mapping[str, Any], in_path: list[str]) -> Iterator[dict[str, Any]]:
    properties = schema.get("properties", {})
    for name in in_path:
        yield {"name": name, "in": "path", "required": True, "schema": _rewritten(properties[name])}
    if not call.has_body:
        required = schema.get("required", ())
        for name, field in properties.items():
            if name not in in_path:
                yield {"name": name, "in": "query", "required": name in required, "schema": _rewritten(field)}
    if call.versioned:
        yield {
            "name": "If-Match",
            "in": "header",
            "description": 'The version the request is based on, such as "7" or W/"7".',
            "schema": {"type": "string", "pattern": r'^(W/)?"[1-9]\d{0,8}"$'},
        }
    if "task_id" in in_path:
        yield {
            "name": CLIENT_HEADER,
            "in": "header",
            "description": "The clientId of the page's Bayeux session: it stays present on the task where it is, and "
            "gets no task.base_moved of this change.",
            "schema": {"type": "string"},
        }
    if call.method != "GET":
        yield {"name": KEY_HEADER, "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255}}


def _without(schema: Mapping[str, Any], fields: list[str]) -> dict[str, Any]:
    body = {name: value for name, value in schema.items() if name not in ("$schema", "$id")}
    body["properties"] = {name: value for name, value in schema["properties"].items() if name not in fields}
    body["required"] = [name for name in schema.get("required", ()) if name not in fields]
    if not body["required"]:
        del body["required"]
    return body


def _answer(component: str, description: str) -> dict[str, Any]:
    content = {"application/json": {"schema": ref(component)}}
    return {"description": description, "content": content}


def _rewritten(schema: Any) -> Any:
    """Return a schema whose references point into this document."""
    if isinstance(schema, list):
        return [_rewritten(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _reference(value) if name == "$ref" and isinstance(value, str) else _rewritten(value)
        for name, value in schema.items()
        if name not in ("$schema", "$id")
    }


def _reference(reference: str) -> str:
    match = _REF.fullmatch(reference)
    return reference if match is None else str(ref(match[1] + (match[2] or ""))["$ref"])

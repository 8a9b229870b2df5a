"""JSON Schemas of what the operations answer over HTTP, made of the packaged ones, for the OpenAPI document.

Who may not see all of a thing is shown part of it, marked ``"redacted": true``.
"""

from typing import Any, Final

_COMPONENTS: Final = "#/components/schemas/"


def ref(component: str) -> dict[str, Any]:
    """Return a reference to a component."""
    return {"$ref": _COMPONENTS + component}


def _one_of_ours(component: str, **more: Any) -> dict[str, Any]:
    return {"anyOf": [{"allOf": [ref(component), {"type": "object", **more}]}, ref("redacted")]}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


def _page(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return _object({"items": {"type": "array", "maxItems": 200, "items": item}, **more}, next_cursor={"type": "string"})


_ID: Final = ref("common/$defs/id")
_COUNT: Final = {"type": "integer", "minimum": 0}
_VERSION: Final = _object(
    {
        "task_id": _ID,
        "version": ref("common/$defs/version"),
        "event_id": ref("common/$defs/event_id"),
        "type": {"type": "string", "pattern": r"^task\.[a-z_]+$"},
        "changed_at": ref("common/$defs/timestamp"),
        "changed_by": ref("common/$defs/user"),
        "changed_fields": {"type": "array", "maxItems": 64, "items": ref("common/$defs/field_name")},
        "values": ref("task"),
    },
    resolution=ref("common/$defs/resolution"),
    conflict_id=_ID,
    kept_over={
        "description": "Conflicts that were resolved by keeping this version",
        "type": "array",
        "maxItems": 1_000,
        "items": _object({"conflict_id": _ID, "user_id": _ID, "resolved_at": ref("common/$defs/timestamp")}),
    },
)
_LOCKED_FIELDS: Final = {"type": "array", "items": {"type": "object", "required": ["field_name", "reason"]}}
_LOCKED: Final = {
    "type": "object",
    "required": ["error", "message", "task_id", "locked_fields"],
    "properties": {
        "error": {"const": "LOCKED"},
        "message": {"type": "string"},
        "task_id": _ID,
        "locked_fields": _LOCKED_FIELDS,
        "holder": _object({"user_id": _ID, "user_name": {"type": "string"}}),
    },
}

#: Component to schema. ``refusal`` is the packaged ``error``, closed; the others are bodies of successes.
ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "redacted": {"type": "object", "required": ["redacted"], "properties": {"redacted": {"const": True}}},
    "task_answer": {
        "allOf": [
            ref("task"),
            {
                "type": "object",
                "required": ["id", "status", "version"],
                "properties": {
                    "lock_warnings": {**_LOCKED_FIELDS, "description": "Written all the same: advisory locks"}
                },
            },
            {"anyOf": [{"required": ["title", "member_id"]}, ref("redacted")]},
        ]
    },
    "task_page": _page(ref("task_answer")),
    "task_version": _VERSION,
    "version_page": _page({"anyOf": [ref("task_version"), ref("redacted")]}),
    "activity_page": _page({"anyOf": [ref("activity"), ref("redacted")]}),
    "notification_page": _page(_one_of_ours("notification.task_assigned", required=["read"]), unread_count=_COUNT),
    "unread": _object({"unread_count": _COUNT}),
    "member": _object({"id": _ID, "name": ref("common/$defs/name")}, team_id=_ID),
    "service_request": _object(
        {"id": _ID, "name": ref("common/$defs/name"), "member_id": _ID},
        status={"enum": ["open", "closed"]},
        team_id=_ID,
    ),
    "recorded": _object({"id": _ID}),
    "refusal": {"allOf": [ref("error"), {"required": ["error", "message"]}]},
    "locked": _LOCKED,
    "not_written": {"anyOf": [ref("conflict"), ref("locked"), ref("refusal")]},
}

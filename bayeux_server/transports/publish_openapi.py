"""What the OpenAPI document says of ``POST /api/publish``."""

from typing import Any, Final

from bayeux_server.transports.publish_api import KEY_HEADER, MAX_KEY_CHARACTERS

_KEY_DESCRIPTION: Final = (
    "A retry with the same key and body publishes nothing and gets the first answer, for a day. After 429 or 503 it is "
    "done anew. A message refused with one of these beside others that were accepted goes into a request of its own, "
    "with another key."
)


def describe() -> dict[str, Any]:
    """Return the path item."""
    return {
        "post": {
            "operationId": "publish",
            "summary": "Publish one message, or several in order",
            "security": [{"bearer": []}, {}],
            "parameters": [
                {
                    "name": KEY_HEADER,
                    "in": "header",
                    "description": _KEY_DESCRIPTION,
                    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
                }
            ],
            "requestBody": {"required": True, "content": _json(_any_of("PublishItem", "PublishBatch"))},
            "responses": {
                "200": _answer("What became of each message; some may have been refused", "PublishResults"),
                "400": _answer("The body is not encoded as its headers say", "PublishRefusal"),
                "401": _answer("No valid token", "PublishRefusal"),
                "409": _answer("The request with this key is under way", "PublishRefusal"),
                "413": _answer("The body or the batch is too big", "PublishRefusal"),
                "422": _answer("The body is not as described, or the key was used with another", "PublishRefusal"),
                "429": _answer("Every message was refused by the rate limit", "PublishResults"),
                "503": _answer(
                    "No room, no broker, or the token cannot be judged now", "PublishResults", "PublishRefusal"
                ),
            },
        }
    }


def schemas() -> dict[str, Any]:
    """Return the component schemas the path item refers to."""
    text = {"type": "string"}
    channel = {"type": "string", "minLength": 2, "examples": ["/task/task_789"]}
    error = {"type": "string", "pattern": "^[A-Z_]+$", "examples": ["INVALID_BODY"]}
    reason = {"type": "string", "description": "What is wrong with the token"}
    return {
        "PublishItem": {
            **_object({"channel": channel, "data": {"description": "Any JSON value; null is one"}}),
            "additionalProperties": False,
        },
        "PublishBatch": {
            **_object({"messages": {"type": "array", "minItems": 1, "items": _ref("PublishItem")}}),
            "additionalProperties": False,
        },
        "PublishResult": _object({"channel": text, "accepted": {"type": "boolean"}}, error=_ref("PublishProblem")),
        "PublishResults": _object({"results": {"type": "array", "items": _ref("PublishResult")}}),
        "PublishProblem": _object({"code": {"type": "integer"}, "message": text}),
        "PublishRefusal": _object({"error": error, "message": text}, reason=reason),
    }


def _answer(description: str, *components: str) -> dict[str, Any]:
    return {"description": description, "content": _json(_any_of(*components))}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _any_of(*components: str) -> dict[str, Any]:
    return {"anyOf": [_ref(each) for each in components]} if len(components) > 1 else _ref(components[0])


def _ref(component: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{component}"}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}

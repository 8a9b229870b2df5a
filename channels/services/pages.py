"""Cursors: opaque to clients, and without PHI, for anybody can read what is only encoded."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, TypeVar

import msgspec

from channels.schema import SchemaViolationError
from channels.services.errors import InvalidBodyError

Place = TypeVar("Place")


def cursor_of(place: object) -> str:
    """Return where a page ended, as a cursor."""
    return urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def place_of(cursor: str, kind: type[Place], *, schema: str, field: str) -> Place:
    """Return where a page ended.

    Raises:
        InvalidBodyError: If we never gave this cursor.
    """
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (ValueError, msgspec.MsgspecError) as error:
        raise no_cursor(schema, field) from error


def no_cursor(schema: str, field: str) -> InvalidBodyError:
    """Return the refusal of what is no cursor that the caller was given."""
    return InvalidBodyError.of(SchemaViolationError(schema, field, "cursor", "string"))


def page(items: list[Any], more: object | None) -> dict[str, Any]:
    """Return the body of a page: ``items``, and ``next_cursor`` if there is more after ``more``."""
    return {"items": items} if more is None else {"items": items, "next_cursor": cursor_of(more)}

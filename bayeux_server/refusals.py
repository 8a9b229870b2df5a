"""Refusals of whole requests of the HTTP interface, all in one shape, also those that no handler makes.

``error`` is a code in capitals, ``message`` a sentence for people. The Bayeux mount has refusals of its own, as stock
clients expect them.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: The reason of a request that brings no token.
TOKEN_MISSING: Final = "token_missing"  # noqa: S105 - no password

#: Where aiohttp says no more than the status.
_MESSAGES: Final = {404: "There is nothing at this address", 405: "The address does not take this method: see Allow"}


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was refused.

    Attributes:
        error: A code in capitals.
        message: A sentence for people.
        reason: What is wrong with the token, if that is it.
    """

    error: str
    message: str
    reason: str | None = None


def refuse(status: int, refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a refusal as a response."""
    body = msgspec.json.encode(refusal)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def challenge(reason: str) -> dict[str, str]:
    """Return the header that says how to do better, as RFC 6750 (3) has it: no error where nobody tried."""
    if reason == TOKEN_MISSING:
        return {"WWW-Authenticate": "Bearer"}
    return {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{reason}"'}


def refuse_in_json() -> Middleware:
    """Return what tells in our shape that an address is nobody's, that it takes another method, or that we failed."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            if refusal.status < HTTPStatus.BAD_REQUEST or refusal.content_type != "text/plain":
                raise
            return _retold(refusal)
        except web.RequestPayloadError:
            response = refuse(400, Refusal("UNREADABLE_BODY", "The body is not encoded as its headers say"))
            response.force_close()  # where the body ends is not known for sure
            return response
        except Exception:
            if request.writer.output_size:  # it is answered in part, and can only be cut off
                raise
            log.exception("request.failed")
            return refuse(500, Refusal("INTERNAL", "The request failed"))

    return handle


def _retold(refusal: web.HTTPException) -> web.Response:
    status = HTTPStatus(refusal.status)
    message = _MESSAGES.get(status, refusal.text or status.phrase)
    headers = refusal.headers.copy()
    headers.popall("Content-Type")
    return refuse(status, Refusal(status.name, message), headers)

"""``POST /api/publish``: for services that publish now and then and want no session.

A publish takes the same road as one over Bayeux: extensions, policy, authorizers, broker. Described by
``/api/openapi.json``.
"""

import hashlib
from collections import OrderedDict
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Raw

from bayeux_server.errors import BodyError, Overloaded, RemoteError
from bayeux_server.protocol.channel_id import ChannelKind
from bayeux_server.protocol.messages import Malformed, Publish
from bayeux_server.protocol.wire import Envelope, check_utf8, encode
from bayeux_server.server.binding import Origin
from bayeux_server.server.clock import Clock
from bayeux_server.server.session import Identity
from bayeux_server.transports.context import TransportContext

PATH: Final = "/api/publish"
KEY_HEADER: Final = "Idempotency-Key"
MAX_KEY_CHARACTERS: Final = 255
TRANSPORT: Final = "publish-api"


class Item(msgspec.Struct, forbid_unknown_fields=True):
    """One message: ``data`` is any JSON value, and is published as it was written."""

    channel: Annotated[str, Meta(min_length=2)]
    data: Raw


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """Several messages, published in order."""

    messages: Annotated[list[Item], Meta(min_length=1)]


class Problem(msgspec.Struct):
    """What is wrong: the Bayeux code, and the error in Bayeux' form."""

    code: int
    message: str


class Result(msgspec.Struct, omit_defaults=True):
    """What became of one message."""

    channel: str
    accepted: bool
    error: Problem | None = None


class Results(msgspec.Struct):
    """What became of each message, in their order."""

    results: list[Result]


class Stored(msgspec.Struct):
    """An answer that was given; None while it is being worked out."""

    body_hash: bytes
    due_s: float
    answer: tuple[int, bytes] | None = None


class IdempotencyKeys:
    """The answers of the last requests that carried a key, so that a retry publishes nothing twice.

    Args:
        keep_s: Seconds an answer is kept.
        max_answers: Answers kept; the oldest go first.
    """

    def __init__(self, clock: Clock, *, keep_s: float = 86_400.0, max_answers: int = 100_000) -> None:
        self._clock = clock
        self._keep_s = keep_s
        self._max_answers = max_answers
        self._stored: OrderedDict[tuple[str, str], Stored] = OrderedDict()

    def begin(self, user_id: str, key: str, body: bytes) -> Stored | None:
        """Return what is stored under a key, or None and store that a request is under way."""
        self._forget_old()
        stored = self._stored.get((user_id, key))
        if stored is None:
            due_s = self._clock.now() + self._keep_s
            self._stored[user_id, key] = Stored(hashlib.sha256(body).digest(), due_s)
        return stored

    def end(self, user_id: str, key: str, answer: tuple[int, bytes] | None) -> None:
        """Store the answer; None forgets the key, for a request that failed may be tried again."""
        if answer is None:
            self._stored.pop((user_id, key), None)
        elif (user_id, key) in self._stored:
            self._stored[user_id, key].answer = answer

    def _forget_old(self) -> None:
        now_s = self._clock.now()
        while self._stored:
            oldest = next(iter(self._stored))
            if len(self._stored) < self._max_answers and self._stored[oldest].due_s > now_s:
                return
            del self._stored[oldest]


class PublishApi:
    """Handles ``POST /api/publish``.

    Args:
        anonymous: Whether no token is needed: the development settings.
    """

    def __init__(self, context: TransportContext, *, anonymous: bool) -> None:
        self._context = context
        self._anonymous = anonymous
        self._keys = IdempotencyKeys(context.server.core.clock)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [web.post(PATH, self.publish)]

    async def publish(self, request: web.Request) -> web.Response:
        """Publish one message, or several."""
        origin = await self._context.origin(request, TRANSPORT)
        if origin.identity is None:
            if origin.token is not None or not self._anonymous:
                return _problem(401, "a valid bearer token is needed", {"WWW-Authenticate": "Bearer"})
            origin.identity = Identity("anonymous")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            return _problem(413, error.text or "the body is too big")
        key = request.headers.get(KEY_HEADER)
        if key is None:
            return _response(*await self._answer(origin, body))
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            return _problem(422, f"{KEY_HEADER}: must have 1 to {MAX_KEY_CHARACTERS} characters")
        return await self._once(origin, origin.identity.user_id, key, body)

    async def _once(self, origin: Origin, user_id: str, key: str, body: bytes) -> web.Response:
        stored = self._keys.begin(user_id, key, body)
        if stored is not None:
            if stored.body_hash != hashlib.sha256(body).digest():
                return _problem(422, f"{KEY_HEADER}: was used with another body")
            if stored.answer is None:
                return _problem(409, f"{KEY_HEADER}: that request is still under way")
            return _response(*stored.answer)
        answer = None
        try:
            status, content = await self._answer(origin, body)
            # What was refused for lack of room may be tried again under the same key.
            answer = (status, content) if status < 429 else None
        finally:
            self._keys.end(user_id, key, answer)
        return _response(status, content)

    async def _answer(self, origin: Origin, body: bytes) -> tuple[int, bytes]:
        try:
            items = _read(body)
            if len(items) > self._context.server.reader.max_messages:
                raise BodyError("too many messages", too_big=True)
            results = [await self._publish_one(origin, item) for item in items]
        except BodyError as error:
            status = 413 if error.too_big else 422
            return status, encode(Problem(status, str(error)))
        except Overloaded as error:
            return 503, encode(Problem(503, str(error)))
        codes = {result.error.code if result.error else 0 for result in results}
        return 429 if codes == {429} else 200, encode(Results(results))

    async def _publish_one(self, origin: Origin, item: Item) -> Result:
        server = self._context.server
        message = server.reader.parse(Envelope(channel=item.channel, data=item.data))
        if isinstance(message, Malformed):
            return _refused(item, message.error)
        if not isinstance(message, Publish) or message.channel.kind is not ChannelKind.BROADCAST:
            # Meta and service channels are conversations; here is nobody to answer.
            return _refused(item, str(RemoteError(403, [item.channel], "channel_denied")))
        outcome = await server.pipeline.process([message], origin, _never)
        reply = outcome.replies[0]
        if reply.successful:
            return Result(item.channel, True)
        return _refused(item, str(reply.error))


def _refused(item: Item, error: str) -> Result:
    return Result(item.channel, False, Problem(int(error[:3]), error))


def _read(body: bytes) -> list[Item]:
    check_utf8(body)
    try:
        fields = msgspec.json.decode(body, type=dict[str, Raw])
        if "messages" in fields:
            return msgspec.json.decode(body, type=Batch).messages
        return [msgspec.json.decode(body, type=Item)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(str(error)) from None


def _never(*_arguments: object) -> None:
    raise AssertionError("a publish is not held")


def _response(status: int, content: bytes) -> web.Response:
    headers = {"Retry-After": "1"} if status in (429, 503) else None
    return web.Response(status=status, body=content, content_type="application/json", headers=headers)


def _problem(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = encode(Problem(status, message))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def describe() -> dict[str, Any]:
    """Return the path item of the OpenAPI document."""
    schemas = "#/components/schemas/"

    def answer(description: str, schema: str) -> dict[str, Any]:
        return {"description": description, "content": {"application/json": {"schema": {"$ref": schemas + schema}}}}

    return {
        "post": {
            "operationId": "publish",
            "summary": "Publish one message, or several in order",
            "security": [{"bearer": []}, {}],
            "parameters": [
                {
                    "name": KEY_HEADER,
                    "in": "header",
                    "description": "A retry with the same key and body publishes nothing and gets the first answer.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
                }
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"oneOf": [{"$ref": schemas + "PublishItem"}, {"$ref": schemas + "PublishBatch"}]}
                    }
                },
            },
            "responses": {
                "200": answer("What became of each message; some may have been refused", "PublishResults"),
                "401": answer("No valid token", "Problem"),
                "409": answer("A request with this key is under way", "Problem"),
                "413": answer("The body or the batch is too big", "Problem"),
                "422": answer("The body is not as described, or the key was used with another body", "Problem"),
                "429": answer("Every message was refused by the rate limit", "PublishResults"),
                "503": answer("No room now; try again", "Problem"),
            },
        }
    }


def schemas() -> dict[str, Any]:
    """Return the component schemas the path item refers to."""
    channel = {"type": "string", "minLength": 2, "examples": ["/task/task_789"]}
    item = {
        "type": "object",
        "required": ["channel", "data"],
        "additionalProperties": False,
        "properties": {"channel": channel, "data": {"description": "Any JSON value; null is one"}},
    }
    problem = {
        "type": "object",
        "required": ["code", "message"],
        "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
    }
    result = {
        "type": "object",
        "required": ["channel", "accepted"],
        "properties": {
            "channel": {"type": "string"},
            "accepted": {"type": "boolean"},
            "error": {"$ref": "#/components/schemas/Problem"},
        },
    }
    return {
        "PublishItem": item,
        "PublishBatch": {
            "type": "object",
            "required": ["messages"],
            "additionalProperties": False,
            "properties": {
                "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/PublishItem"}}
            },
        },
        "PublishResult": result,
        "PublishResults": {
            "type": "object",
            "required": ["results"],
            "properties": {"results": {"type": "array", "items": {"$ref": "#/components/schemas/PublishResult"}}},
        },
        "Problem": problem,
    }

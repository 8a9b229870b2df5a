"""``POST /api/publish``: for services that publish now and then and want no session.

A publish takes the same road as one over Bayeux: extensions, policy, authorizers, broker. Described by
``/api/openapi.json``.
"""

import asyncio
from collections.abc import Coroutine
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Raw

from bayeux_server.errors import BodyError, Overloaded, RemoteError
from bayeux_server.ports import Answer, Answers
from bayeux_server.protocol.channel_id import ChannelKind
from bayeux_server.protocol.envelope import Envelope
from bayeux_server.protocol.messages import Malformed, Publish
from bayeux_server.protocol.wire import check_utf8, encode
from bayeux_server.refusals import TOKEN_MISSING, Refusal, challenge, refuse
from bayeux_server.server.identity import Identity
from bayeux_server.server.origin import Origin
from bayeux_server.transports.context import TransportContext

log = structlog.get_logger()

PATH: Final = "/api/publish"
KEY_HEADER: Final = "Idempotency-Key"
MAX_KEY_CHARACTERS: Final = 255
TRANSPORT: Final = "publish-api"

#: What is refused now may be accepted later.
_PASSING: Final = frozenset({429, 503})


class Item(msgspec.Struct, forbid_unknown_fields=True):
    """One message: ``data`` is any JSON value, and is published as it was written."""

    channel: Annotated[str, Meta(min_length=2)]
    data: Raw


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """Several messages, published in order."""

    messages: Annotated[list[Item], Meta(min_length=1)]


class Problem(msgspec.Struct):
    """What is wrong with one message: the Bayeux code, and the error in Bayeux' form."""

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


class PublishApi:
    """Handles ``POST /api/publish``.

    Args:
        answers: Kept for requests with a key.
        anonymous: Whether no token is needed: the development settings.
    """

    def __init__(self, context: TransportContext, answers: Answers, *, anonymous: bool) -> None:
        self._context = context
        self._answers = answers
        self._anonymous = anonymous
        self._under_way: set[asyncio.Task[Answer]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [web.post(PATH, self.publish)]

    async def publish(self, request: web.Request) -> web.Response:
        """Publish one message, or several."""
        origin = await self._context.origin(request, TRANSPORT)
        if origin.identity is None:
            if origin.token is not None or not self._anonymous:
                return await self._refuse_nobody(request)
            origin.identity = Identity("anonymous")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _response(*_refusal(413, "TOO_LARGE", f"A body has at most {request.client_max_size} bytes"))
        key = request.headers.get(KEY_HEADER)
        if key is None:
            return _response(*await self._seen_through(self._answer(origin, body)))
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            wanted = f"{KEY_HEADER} must have 1 to {MAX_KEY_CHARACTERS} characters"
            return _response(*_refusal(422, "INVALID_KEY", wanted))
        return _response(*await self._seen_through(self._once((origin.identity.user_id, key), origin, body)))

    async def _refuse_nobody(self, request: web.Request) -> web.Response:
        """Refuse a request that names nobody, saying why."""
        try:
            await self._context.identify(request)
            reason = "token_unknown" if "Authorization" in request.headers else TOKEN_MISSING
        except RemoteError as error:
            if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
                return _response(*_refusal(503, "UNAVAILABLE", "The token cannot be judged now: try again"))
            reason = error.text
        return refuse(401, Refusal("UNAUTHENTICATED", "A valid bearer token is needed", reason), challenge(reason))

    async def _once(self, key: tuple[str, str], origin: Origin, body: bytes) -> Answer:
        body_hash = sha256(body).digest()
        try:
            kept = await self._answers.begin(*key, body_hash)
        except OSError:
            log.warning("publish.keys_unavailable")
            return _refusal(503, "UNAVAILABLE", f"The {KEY_HEADER} cannot be looked up now: try again")
        if kept is None:
            return await self._answer_and_keep(key, origin, body, body_hash)
        if kept.body_hash != body_hash:
            return _refusal(422, "IDEMPOTENCY_KEY_REUSED", f"{KEY_HEADER} was used with another body")
        if kept.answer is None:
            return _refusal(409, "UNDER_WAY", f"The request with this {KEY_HEADER} is still under way")
        return kept.answer

    async def _seen_through(self, work: Coroutine[None, None, Answer]) -> Answer:
        """Finish what was begun, also for a client that hangs up: half of a batch, or not to know, would be worse."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _answer_and_keep(self, key: tuple[str, str], origin: Origin, body: bytes, body_hash: bytes) -> Answer:
        answer = None
        try:
            answer = await self._answer(origin, body)
        finally:
            # What was refused for lack of room may be tried again under the same key.
            keep = None if answer is None or answer[0] in _PASSING else answer
            try:
                await self._answers.end(*key, body_hash, keep)
            except OSError:
                log.warning("publish.keys_unavailable")  # published all the same; a retry is told that it is under way
        return answer

    async def _answer(self, origin: Origin, body: bytes) -> Answer:
        try:
            items = _read(body)
            if len(items) > self._context.server.reader.max_messages:
                raise BodyError("too many messages", too_big=True)
            results = [await self._publish_one(origin, item) for item in items]
        except BodyError as error:
            if error.too_big:
                return _refusal(413, "TOO_LARGE", str(error))
            return _refusal(422, "INVALID_BODY", str(error))
        except Overloaded as error:
            return _refusal(503, "UNAVAILABLE", str(error))
        codes = {result.error.code if result.error else HTTPStatus.OK for result in results}
        # Only if nothing was published, and nothing is wrong but the moment, the request may come again as it is.
        return max(codes) if codes <= _PASSING else HTTPStatus.OK, encode(Results(results))

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
    headers = {"Retry-After": "1"} if status in _PASSING else None
    return web.Response(status=status, body=content, content_type="application/json", headers=headers)


def _refusal(status: int, error: str, message: str) -> Answer:
    return status, encode(Refusal(error, message))

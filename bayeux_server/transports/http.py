"""What the HTTP transports share: reading a request's messages, and answering a batch, now or when its connect ends."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from bayeux_server.errors import BodyError, Overloaded
from bayeux_server.protocol.messages import META_HANDSHAKE, Incoming, Reply
from bayeux_server.protocol.wire import Reader, write
from bayeux_server.server.batch import Outcome
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.observer import Observer
from bayeux_server.server.origin import Origin
from bayeux_server.server.session import ServerSession
from bayeux_server.transports.context import TransportContext

_HEADERS: Final = {"Cache-Control": "no-cache, no-store", "X-Content-Type-Options": "nosniff"}
_MAX_FORM_FIELDS: Final = 1_000

#: Makes the response of a JSON array.
Responder = Callable[[bytes], web.Response]


async def read_body(request: web.Request) -> list[bytes]:
    """Return the JSON texts a POST carries: its body, or each ``message`` field of a form.

    Everything that is not called ``application/json`` is a form: Faye posts ``text/plain`` across origins.

    Raises:
        BodyError: If there is none, or the body cannot be read, or is too big.
    """
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise BodyError("the body is too big", too_big=True) from None
    except web.RequestPayloadError:
        raise BodyError("the body is not encoded as its headers say") from None
    if request.content_type.lower() == "application/json":
        return [body]
    return form_messages(body.decode("utf-8", "surrogateescape"))


def form_messages(form: str) -> list[bytes]:
    """Return the ``message`` fields of a form or a query.

    Raises:
        BodyError: If there is none.
    """
    try:
        fields = parse_qs(form, keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS, errors="strict")
        messages = [message.encode() for message in fields.get("message", ())]
    except ValueError:
        raise BodyError("the form cannot be read") from None
    if not messages:
        raise BodyError("there is no message")
    return messages


def json_response(array: bytes) -> web.Response:
    """Return a JSON array as a response."""
    return web.Response(body=array, content_type="application/json", charset="utf-8", headers=_HEADERS)


async def answer(
    context: TransportContext, request: web.Request, origin: Origin, bodies: list[bytes], respond: Responder
) -> web.StreamResponse:
    """Process a request's messages and send the answer; a connect that is held keeps the request open."""
    context.server.core.observer.received_bytes += sum(map(len, bodies))
    try:
        return await _Exchange(context, request, origin, respond).run(read_batch(context.server.reader, bodies))
    except (BodyError, Overloaded) as error:
        return refuse(context, error)


def refuse(context: TransportContext, error: BodyError | Overloaded) -> web.Response:
    """Return the refusal of a request, whole."""
    status, text = refusal(error, context.server.core.observer)
    retry = {"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return web.Response(status=status, text=text, headers={**_HEADERS, **retry})


def read_batch(reader: Reader, bodies: list[bytes]) -> list[Incoming]:
    """Return the messages of a request's JSON texts.

    Raises:
        BodyError: If there is none, or a text is not readable, or there are too many.
    """
    batch = [message for body in bodies for message in reader.read(body)]
    if not batch:
        # CometD takes [] for a failure of its own making; say what it is.
        raise BodyError("there is no message")
    if len(batch) > reader.max_messages:  # a form may hold several batches
        raise BodyError(f"a request has at most {reader.max_messages} messages", too_big=True)
    return batch


def refusal(error: BodyError | Overloaded, observer: Observer) -> tuple[int, str]:
    """Return the status and the text that refuse a request whole, and have it counted."""
    if isinstance(error, Overloaded):
        observer.shed(str(error))
        return HTTPStatus.SERVICE_UNAVAILABLE, str(error)
    observer.unreadable(too_big=error.too_big)
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if error.too_big else HTTPStatus.BAD_REQUEST, str(error)


def arrange(deliveries: list[Delivery], replies: list[Reply]) -> tuple[bytes, bool]:
    """Return the JSON array of an answer, and whether a handshake's reply is in it: first that, then the events."""
    first = [reply for reply in replies if reply.channel == META_HANDSHAKE]
    others = [reply for reply in replies if reply.channel != META_HANDSHAKE] if first else replies
    return write([*first, *[delivery.json for delivery in deliveries], *others]), bool(first)


class _Exchange:
    """One request on its way to its response."""

    def __init__(self, context: TransportContext, request: web.Request, origin: Origin, respond: Responder) -> None:
        self._context = context
        self._request = request
        self._origin = origin
        self._respond = respond
        self._late: asyncio.Future[tuple[list[Delivery], Reply]] = asyncio.get_running_loop().create_future()

    async def run(self, batch: list[Incoming]) -> web.StreamResponse:
        work = asyncio.ensure_future(self._context.server.pipeline.process(batch, self._origin, self._answer_late))
        try:
            outcome = await asyncio.shield(work)
        except asyncio.CancelledError:
            # The client hung up. What was begun is done all the same: half of a batch would be worse.
            work.add_done_callback(self._give_back)
            raise
        deliveries, replies, session = outcome.deliveries, outcome.replies, outcome.session
        if outcome.hold is not None and session is not None:
            try:
                deliveries, reply = await self._late
            except asyncio.CancelledError:
                # The client hung up. Nothing was taken from the queue, unless the answer came in this very turn.
                self._context.server.pipeline.connect.cancel(session, outcome.hold, self._origin)
                if self._late.done() and not self._late.cancelled():
                    session.requeue(self._late.result()[0])
                raise
            replies = [reply]
        return await self._send(session, deliveries, replies)

    def _give_back(self, work: asyncio.Task[Outcome]) -> None:
        """Put back what was taken for an answer that nobody waits for."""
        if work.cancelled() or work.exception() is not None:
            return
        outcome = work.result()
        if outcome.session is not None:
            if outcome.hold is not None:
                self._context.server.pipeline.connect.cancel(outcome.session, outcome.hold, self._origin)
            outcome.session.requeue(outcome.deliveries)

    def _answer_late(self, session: ServerSession, deliveries: list[Delivery], reply: Reply) -> None:
        if self._late.done():
            session.requeue(deliveries)
        else:
            self._late.set_result((deliveries, reply))

    async def _send(
        self, session: ServerSession | None, deliveries: list[Delivery], replies: list[Reply]
    ) -> web.StreamResponse:
        array, shakes_hands = arrange(deliveries, replies)
        self._context.server.core.observer.sent_bytes += len(array)
        response = self._respond(array)
        if shakes_hands:
            self._context.offer_browser(response, self._origin)
        try:
            if self._request.transport is None or self._request.transport.is_closing():
                raise ConnectionResetError
            async with asyncio.timeout(self._context.settings.write_timeout_s):
                await response.prepare(self._request)
                await response.write_eof()
        except (ConnectionError, TimeoutError, asyncio.CancelledError) as error:
            # A client that has gone is no error of ours, so aiohttp gets its response all the same.
            # Both reference servers lose these events; here they wait for the next connect.
            if session is not None:
                session.requeue(deliveries)
            if isinstance(error, TimeoutError):
                self._context.server.core.observer.shed("write_timeout")
                self._hang_up()
            if isinstance(error, asyncio.CancelledError):
                raise
        return response

    def _hang_up(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

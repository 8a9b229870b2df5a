"""One POST on its way to its response, without a task of its own; ``transports/http.py`` does the same on aiohttp."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, Protocol

from bayeux_server.errors import BodyError, Overloaded
from bayeux_server.protocol.messages import Reply
from bayeux_server.server.batch import Outcome
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.origin import Origin
from bayeux_server.server.session import Hold, ServerSession
from bayeux_server.server.steps import Steps, complete
from bayeux_server.server.timers import Timer
from bayeux_server.transports.context import TransportContext
from bayeux_server.transports.direct.responses import Responses
from bayeux_server.transports.http import arrange, form_messages, read_batch, refusal

#: nginx's number for a client that hung up before it was answered.
_HUNG_UP: Final = 499


class Entry(Protocol):
    """Takes down how a request ended."""

    def __call__(self, *, status: int, response_bytes: int) -> None:
        """Take it down."""


class Exchange:
    """Processes a request's messages and writes the response, now or when its connect ends.

    Args:
        entry: Takes down how the request ended, None if nobody wants to know.
        on_answered: Called once the response is the transport's, and the peer takes it.
    """

    __slots__ = (
        "_context",
        "_entry",
        "_hold",
        "_is_lost",
        "_is_paused",
        "_on_answered",
        "_origin",
        "_request_id",
        "_responses",
        "_session",
        "_timer",
        "_transport",
        "_unsent",
    )

    def __init__(
        self,
        context: TransportContext,
        responses: Responses,
        transport: asyncio.Transport,
        origin: Origin,
        request_id: str,
        entry: Entry | None,
        on_answered: Callable[[], None],
    ) -> None:
        self._context = context
        self._responses = responses
        self._transport = transport
        self._origin = origin
        self._request_id = request_id
        self._entry = entry
        self._on_answered = on_answered
        self._session: ServerSession | None = None
        self._hold: Hold | None = None
        #: Events that were written, and did not all leave yet.
        self._unsent: list[Delivery] = []
        self._is_paused = self._is_lost = False
        self._timer: Timer | None = None

    def begin(self, body: bytes, *, is_json: bool) -> None:
        """Process a request's messages, which are JSON or a form, as far as it goes without waiting."""
        server = self._context.server
        server.core.observer.received_bytes += len(body)
        try:
            bodies = [body] if is_json else form_messages(body.decode("utf-8", "surrogateescape"))
            outcome = Outcome([], [])
            steps = server.pipeline.steps(read_batch(server.reader, bodies), self._origin, self._answer_late, outcome)
            awaited = next(steps, None)
            if awaited is None:
                self._processed(outcome)
            else:
                asyncio.get_running_loop().create_task(self._go_on(steps, awaited, outcome))
        except (BodyError, Overloaded) as error:
            self._refuse(error)

    async def _go_on(self, steps: Steps[None], awaited: Awaitable[Any], outcome: Outcome) -> None:
        try:
            await complete(steps, awaited)
            self._processed(outcome)
        except (BodyError, Overloaded) as error:
            self._refuse(error)

    def _processed(self, outcome: Outcome) -> None:
        self._session, self._hold = outcome.session, outcome.hold
        if outcome.hold is None:
            self._send(outcome.deliveries, outcome.replies)
        elif self._is_lost:
            self.connection_lost()

    def _answer_late(self, session: ServerSession, deliveries: list[Delivery], reply: Reply) -> None:
        self._session, self._hold = session, None
        self._send(deliveries, [reply])

    def _refuse(self, error: BodyError | Overloaded) -> None:
        status, text = refusal(error, self._context.server.core.observer)
        self._write(HTTPStatus(status), self._responses.text(HTTPStatus(status), text, self._request_id))

    def _send(self, deliveries: list[Delivery], replies: list[Reply]) -> None:
        array, shakes_hands = arrange(deliveries, replies)
        self._context.server.core.observer.sent_bytes += len(array)
        self._unsent = deliveries
        cookie = self._context.browser_cookie(self._origin) if shakes_hands else None
        self._write(HTTPStatus.OK, self._responses.json(array, cookie, self._request_id))

    def _write(self, status: HTTPStatus, response: bytes) -> None:
        if self._is_lost or self._transport.is_closing():
            self._give_back()
            return
        self._transport.write(response)
        if self._entry is not None:
            self._entry(status=status, response_bytes=len(response))
        if not self._is_paused:
            self._done()

    def _done(self) -> None:
        self._unsent = []
        self._on_answered()

    def _give_back(self) -> None:
        """What did not reach the client waits for its next connect."""
        if self._session is not None:
            self._session.requeue(self._unsent)
        self._unsent = []

    # ---- the connection

    def pause_writing(self) -> None:
        """The peer takes nothing: it has ``write_timeout`` to begin again."""
        self._is_paused = True
        core = self._context.server.core
        self._timer = core.timers.call_at(core.clock.now() + self._context.settings.write_timeout_s, self._give_up)

    def resume_writing(self) -> None:
        """The peer took what was written."""
        self._is_paused = False
        if self._timer is not None:
            self._timer.cancel()
        self._done()

    def _give_up(self) -> None:
        self._context.server.core.observer.shed("write_timeout")
        self._transport.abort()

    def connection_lost(self) -> None:
        """The client hung up. Nothing was taken from a held connect's queue."""
        self._is_lost = True
        if self._timer is not None:
            self._timer.cancel()
        if self._hold is not None and self._session is not None:
            self._context.server.pipeline.connect.cancel(self._session, self._hold, self._origin)
            self._hold = None
            if self._entry is not None:
                self._entry(status=_HUNG_UP, response_bytes=0)
        self._give_back()

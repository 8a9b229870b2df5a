"""Matches what comes back with what was sent."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from clients.python.errors import NoAnswerError, RefusedError, TransportError
from clients.python.transports import Transport

Message = dict[str, Any]


class Exchange:
    """Messages under way, each until it is answered, the connection is lost or the time is over.

    Args:
        on_event: Called with each event.
        on_notice: Called with each message that is no event and answers nothing.
    """

    def __init__(self, on_event: Callable[[Message], None], on_notice: Callable[[Message], None]) -> None:
        self._on_event = on_event
        self._on_notice = on_notice
        self._ids = itertools.count(1)
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._calls: dict[str, asyncio.Future[Message]] = {}

    def next_id(self) -> str:
        """Return an id no other message of this client has."""
        return str(next(self._ids))

    async def request(self, transport: Transport, message: Message, *, patience_s: float) -> Message:
        """Send a message and return its reply.

        Raises:
            TransportError: If the connection is lost.
            NoAnswerError: If there is no reply in time.
        """
        return (await self.request_all(transport, [message], patience_s=patience_s))[0]

    async def request_all(
        self, transport: Transport, messages: Sequence[Message], *, patience_s: float
    ) -> list[Message]:
        """Send a batch and return its replies. Raises as :meth:`request` does."""
        sent = [message if "id" in message else message | {"id": self.next_id()} for message in messages]
        with self._expecting(self._replies, [message["id"] for message in sent]) as replies:
            try:
                async with asyncio.timeout(patience_s):
                    await transport.send(sent)
                    return list(await asyncio.gather(*replies))
            except TimeoutError:
                raise NoAnswerError(f"no answer in {patience_s:g} s") from None

    @contextmanager
    def calling(self, call_id: str) -> Iterator[asyncio.Future[Message]]:
        """Give what is settled with the answer of a remote call."""
        with self._expecting(self._calls, [call_id]) as (answer,):
            yield answer

    def received(self, messages: Iterable[Message]) -> None:
        """Settle what was waited for, and pass on the rest."""
        for message in messages:
            name = str(message.get("id"))
            if "data" not in message and "id" not in message:
                self._on_notice(message)
            elif "data" not in message:
                _settle(self._replies.get(name), message)
            elif name in self._calls:
                _settle(self._calls[name], message)
            else:
                self._on_event(message)

    def lost(self, reason: str) -> None:
        """Tell everybody who waits that the connection is gone."""
        for future in [*self._replies.values(), *self._calls.values()]:
            if not future.done():
                future.set_exception(TransportError(reason))
                future.exception()  # whoever waits sees it; if nobody does, it is no news

    @contextmanager
    def _expecting(
        self, futures: dict[str, asyncio.Future[Message]], names: Sequence[str]
    ) -> Iterator[list[asyncio.Future[Message]]]:
        loop = asyncio.get_running_loop()
        mine = {name: loop.create_future() for name in names}
        futures |= mine
        try:
            yield list(mine.values())
        finally:
            for name, future in mine.items():
                futures.pop(name, None)
                future.cancel()


def checked(reply: Message) -> Message:
    """Return a reply that says yes.

    Raises:
        RefusedError: If it says no.
    """
    if not reply.get("successful"):
        raise RefusedError(str(reply.get("error", "")))
    return reply


def _settle(future: asyncio.Future[Message] | None, message: Message) -> None:
    if future is not None and not future.done():
        future.set_result(message)

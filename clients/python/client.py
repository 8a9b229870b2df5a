"""The client as its user holds it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import structlog

from clients.python.backoff import Backoff
from clients.python.connection import Connection, Token, TransportName
from clients.python.errors import CallFailedError, NoAnswerError, RefusedError, TransportError
from clients.python.events import ClientState, Gap
from clients.python.exchange import Exchange, checked
from clients.python.session import ClientSession, Message
from clients.python.subscription import Callback, Subscription
from clients.python.subscriptions import Subscriptions
from clients.python.transports import Transport

log = structlog.get_logger()

T = TypeVar("T")


class BayeuxClient:
    """Publishes, subscribes and calls; reconnects by itself, and says so.

    A lost connection is taken up again within the session, with nothing lost if the server acknowledges. A lost
    session (the server restarted, or the connection was away too long) begins anew: everything is subscribed again,
    and the server's history tells what was missed. What it cannot tell, ``on_gap`` does.

    Args:
        url: The server's Bayeux end point, such as ``https://host/bayeux``.
        transport: ``auto`` tries a WebSocket and falls back to long polls.
        wire: ``msgpack`` packs WebSocket messages, if the server speaks ``bayeux.msgpack``.
        token: Bearer token, sent with the handshake and as a header; a function is asked for each new session.
        ack: Ask for acknowledged delivery: what a cut connection swallowed is sent again.
        timeout_s: Seconds to wait for a connection, and for the answer to a message.
        backoff: Waits between tries.

    Attributes:
        on_state: Called with each new state.
        on_gap: Called when events may be missing.
        on_revoked: Called with each channel or pattern that the user may not see any more, as our server tells; its
            iterators end with a :class:`RefusedError`.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: TransportName = "auto",
        wire: Literal["json", "msgpack"] = "json",
        token: Token | None = None,
        ack: bool = True,
        timeout_s: float = 30.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.url = url
        self.on_state: list[Callable[[ClientState], object]] = []
        self.on_gap: list[Callable[[Gap], object]] = []
        self.on_revoked: list[Callable[[str], object]] = []
        self._timeout_s = timeout_s
        self._session = ClientSession(wants_ack=ack)
        self._subscriptions = Subscriptions(self.tell_gap, lambda channel: _tell(self.on_revoked, channel))
        self._exchange = Exchange(self._subscriptions.deliver, self._session.noticed)
        self._connection = Connection(
            url,
            self._session,
            self._exchange,
            self._subscriptions,
            transport=transport,
            packed=wire == "msgpack",
            token=token,
            timeout_s=timeout_s,
            backoff=backoff or Backoff(),
            on_state=lambda state: _tell(self.on_state, state),
            on_gap=self.tell_gap,
        )

    # ---- life

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, trying again until it works or ``timeout_s`` is over.

        Raises:
            RefusedError: If the server refuses the handshake for good.
            TransportError: If there is no connection in time.
        """
        self._connection.start()
        try:
            await self._connection.ready()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the session, and say goodbye if there is a connection. Iterators end; callbacks under way are ended."""
        subscriptions = list(self._subscriptions)
        await self._connection.stop()
        for subscription in subscriptions:
            await subscription.stop_calling()

    async def wait_closed(self) -> None:
        """Return when the client is closed.

        Raises:
            RefusedError: If the server refused a new session.
            ClientClosedError: If the server told it not to come back.
        """
        await self._connection.ended()

    @property
    def state(self) -> ClientState:
        """Where it stands."""
        return self._connection.state

    # ---- use

    async def subscribe(
        self,
        channel: str,
        callback: Callback | None = None,
        *,
        replay_from: int | None = None,
        ext: Message | None = None,
        max_waiting: int = 10_000,
    ) -> Subscription:
        """Subscribe to a channel or pattern.

        Args:
            callback: Called with each event; without one, iterate over the subscription.
            replay_from: Where to begin in the server's history: an id, -2 for all that is kept, None for new events.
            ext: Extension fields for the subscription, such as ``event_types``.
            max_waiting: Events that may wait to be taken.

        Raises:
            RefusedError: If the server refuses.
            TransportError: If the connection is lost meanwhile, or there is none in time.
        """
        transport = await self._connection.ready()
        subscription = Subscription(
            self, channel, callback, replay_from=replay_from, ext=ext or {}, max_waiting=max_waiting
        )
        self._subscriptions.add(subscription)
        try:
            await self._connection.subscribe(transport, channel, subscription.ext, subscription.replay())
        except BaseException:
            self._subscriptions.drop(subscription)
            subscription.end(None)
            raise
        return subscription

    async def publish(self, channel: str, data: Any) -> None:
        """Publish a value; returns when the server has accepted it.

        Raises:
            RefusedError: If the server refuses.
            TransportError: If the connection is lost meanwhile: it may or may not have been published.
        """
        checked(await self._request(await self._connection.ready(), self._session.publish(channel, data)))

    async def publish_all(self, messages: Sequence[tuple[str, Any]]) -> list[RefusedError | None]:
        """Publish several ``(channel, data)`` in one batch, in order.

        Returns:
            For each message None, or why it was refused.

        Raises:
            TransportError: As for :meth:`publish`.
        """
        transport = await self._connection.ready()
        batch = [self._session.publish(channel, data) for channel, data in messages]
        replies = await self._exchange.request_all(transport, batch, patience_s=self._timeout_s)
        return [None if reply.get("successful") else RefusedError(str(reply.get("error", ""))) for reply in replies]

    async def call(self, channel: str, data: Any = None) -> Any:
        """Call a service, such as ``/service/task/get``, and return its answer.

        Raises:
            CallFailedError: If the service answers with a failure.
            RefusedError: If the server refuses the call, or nobody serves the channel (404).
            TransportError: If there is no answer in time.
        """
        transport = await self._connection.ready()
        message = self._session.publish(channel, data) | {"id": self._exchange.next_id()}
        with self._exchange.calling(message["id"]) as answer:
            reply = checked(await self._request(transport, message))
            if (reply.get("ext") or {}).get("handled") is False:
                raise RefusedError(f"404:{channel}:no_such_service")
            result = await _in_time(answer, self._timeout_s, f"no answer from {channel}")
        if not result.get("successful", True):
            raise CallFailedError(result.get("data"))
        return result.get("data")

    async def refresh(self, token: str) -> None:
        """Go on with a new token, before the old one expires. It is used for later sessions too.

        Raises:
            CallFailedError: If the server does not accept it.
        """
        await self.call("/service/auth/refresh", {"token": token})
        self._connection.use(token)

    # ---- for subscriptions

    async def forget(self, subscription: Subscription) -> None:
        """End a subscription; see :meth:`Subscription.unsubscribe`."""
        self._subscriptions.drop(subscription)
        transport = self._connection.current
        if transport is not None and not self._subscriptions.of(subscription.channel):
            with contextlib.suppress(TransportError):
                await self._request(transport, self._session.unsubscribe(subscription.channel))

    def tell_gap(self, gap: Gap) -> None:
        """Tell the user that events may be missing."""
        log.warning("client.gap", channel=gap.channel, reason=gap.reason)
        _tell(self.on_gap, gap)

    async def _request(self, transport: Transport, message: Message) -> Message:
        return await self._exchange.request(transport, message, patience_s=self._timeout_s)


async def _in_time(work: Awaitable[T], timeout_s: float, complaint: str) -> T:
    try:
        async with asyncio.timeout(timeout_s):
            return await work
    except TimeoutError:
        raise NoAnswerError(f"{complaint} in {timeout_s:g} s") from None


def _tell(callbacks: Sequence[Callable[[T], object]], what: T) -> None:
    for callback in callbacks:
        try:
            callback(what)
        except Exception:
            log.exception("client.callback_failed")

"""The client: keeps a session alive over whatever connection works."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import structlog

from bayeux_server.protocol.channel_id import ChannelId
from clients.python.backoff import Backoff
from clients.python.errors import CallFailedError, ClientClosedError, RefusedError, TransportError
from clients.python.events import ClientState, Event, Gap
from clients.python.session import ClientSession, Message, SessionLost
from clients.python.subscription import Callback, Subscription
from clients.python.transports import LongPollingTransport, Transport, WebSocketTransport

log = structlog.get_logger()

TransportName = Literal["auto", "websocket", "long-polling"]


class BayeuxClient:
    """Publishes, subscribes and calls; reconnects by itself, and says so.

    Args:
        url: The server's Bayeux end point, such as ``https://host/bayeux``.
        transport: ``auto`` tries a WebSocket and falls back to long polls.
        wire: ``msgpack`` packs WebSocket messages, if the server speaks ``bayeux.msgpack``.
        token: Bearer token, sent with the handshake and as a header.
        ack: Ask for acknowledged delivery: what a cut connection swallowed is sent again.
        timeout_s: Seconds to wait for a connection, and for the answer to a message.
        backoff: Waits between tries.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: TransportName = "auto",
        wire: Literal["json", "msgpack"] = "json",
        token: str | None = None,
        ack: bool = True,
        timeout_s: float = 30.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.url = url
        self.state = ClientState.CLOSED
        self.on_state: list[Callable[[ClientState], object]] = []
        self.on_gap: list[Callable[[Gap], object]] = []
        self._names = ["websocket", "long-polling"] if transport == "auto" else [transport]
        self._packed = wire == "msgpack"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s
        self._backoff = backoff or Backoff()
        self._session = ClientSession(token=token, wants_ack=ack)
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._calls: dict[str, asyncio.Future[Message]] = {}
        self._transport: Transport | None = None
        self._http: aiohttp.ClientSession | None = None
        self._running: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self._problem: Exception | None = None

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
        # Servers are reached by address too; the cookie that binds the session must be kept for those as well.
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self._running = asyncio.create_task(self._run(self._http))
        try:
            await self._ready()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the session, and say goodbye if there is a connection."""
        if self._running is None or self._http is None:
            return
        if self._transport is not None and self._connected.is_set():
            with contextlib.suppress(TransportError, RefusedError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._request(self._transport, self._session.disconnect())
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        self._running = None
        self._end(ClientClosedError("the client was closed"))
        await self._http.close()

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
            max_waiting: Events that may wait for the iterator.

        Raises:
            RefusedError: If the server refuses.
            TransportError: If the connection is lost meanwhile, or there is none in time.
        """
        subscription = Subscription(
            self, channel, callback, replay_from=replay_from, ext=ext or {}, max_waiting=max_waiting
        )
        transport = await self._ready()
        self._subscriptions.setdefault(channel, []).append(subscription)
        try:
            await self._subscribe(transport, subscription)
        except BaseException:
            self._drop(subscription)
            raise
        return subscription

    async def publish(self, channel: str, data: Any) -> None:
        """Publish a value; returns when the server has accepted it.

        Raises:
            RefusedError: If the server refuses.
            TransportError: If the connection is lost meanwhile: it may or may not have been published.
        """
        _checked(await self._request(await self._ready(), self._session.publish(channel, data)))

    async def publish_all(self, messages: Sequence[tuple[str, Any]]) -> list[RefusedError | None]:
        """Publish several ``(channel, data)`` in one batch, in order.

        Returns:
            For each message None, or why it was refused.

        Raises:
            TransportError: As for :meth:`publish`.
        """
        transport = await self._ready()
        replies = await self._exchange(transport, [self._session.publish(channel, data) for channel, data in messages])
        return [None if reply.get("successful") else RefusedError(str(reply.get("error", ""))) for reply in replies]

    async def call(self, channel: str, data: Any = None) -> Any:
        """Call a service, such as ``/service/task/get``, and return its answer.

        Raises:
            CallFailedError: If the service answers with a failure.
            RefusedError: If the server refuses the call, or nobody serves the channel (404).
            TransportError: If there is no answer in time.
        """
        transport = await self._ready()
        message = self._session.publish(channel, data) | {"id": self._session.next_id()}
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._calls[message["id"]] = answer
        try:
            reply = _checked(await self._request(transport, message))
            if (reply.get("ext") or {}).get("handled") is False:
                raise RefusedError(f"404:{channel}:no_such_service")
            async with asyncio.timeout(self._timeout_s):
                result = await answer
        except TimeoutError:
            raise TransportError(f"no answer from {channel} in {self._timeout_s:g} s") from None
        finally:
            self._calls.pop(message["id"], None)
        if not result.get("successful", True):
            raise CallFailedError(result.get("data"))
        return result.get("data")

    async def refresh(self, token: str) -> None:
        """Go on with a new token, before the old one expires.

        Raises:
            CallFailedError: If the server does not accept it.
        """
        await self.call("/service/auth/refresh", {"token": token})
        self._session.token = token
        self._headers["Authorization"] = f"Bearer {token}"

    async def forget(self, subscription: Subscription) -> None:
        """End a subscription; see :meth:`Subscription.unsubscribe`.

        Raises:
            ClientClosedError: If the client is closed.
        """
        self._drop(subscription)
        if subscription.channel not in self._subscriptions and self._connected.is_set() and self._transport is not None:
            with contextlib.suppress(TransportError):
                await self._request(self._transport, self._session.unsubscribe(subscription.channel))

    def tell_gap(self, gap: Gap) -> None:
        """Tell the user that events may be missing."""
        log.warning("client.gap", channel=gap.channel, reason=gap.reason)
        for callback in self.on_gap:
            callback(gap)

    # ---- keeping alive

    async def _run(self, http: aiohttp.ClientSession) -> None:
        """Connect, and connect again, until closed or told not to."""
        while True:
            try:
                await self._stay_connected(http)
            except SessionLost as lost:
                log.info("client.session_lost", reason=str(lost))
                if self._session.reconnect == "none":
                    self._end(ClientClosedError(f"the server ended the session: {lost}"))
                    return
            except RefusedError as error:
                self._end(error)
                return
            except (TransportError, TimeoutError) as error:
                self._problem = error
                log.info("client.connection_lost", reason=str(error))
                await self._leave()
                self._become(ClientState.RECONNECTING)
                await asyncio.sleep(self._backoff.next_s())

    async def _stay_connected(self, http: aiohttp.ClientSession) -> None:
        self._connected.clear()
        if self._transport is None:
            self._become(ClientState.CONNECTING if self.state is ClientState.CLOSED else ClientState.RECONNECTING)
            self._transport = await self._open(http)
        transport, session = self._transport, self._session
        is_new = session.client_id is None
        if is_new:
            await self._shake_hands(transport)
        session.connected(await self._request(transport, session.connect(transport.connection_type, hold=False)))
        if is_new:
            await self._subscribe_again(transport)
        self._backoff.reset()
        self._become(ClientState.CONNECTED)
        self._connected.set()
        while True:
            await asyncio.sleep(session.interval_ms / 1_000)
            connect = session.connect(transport.connection_type, hold=True)
            session.connected(await self._request(transport, connect, patience_s=session.patience_s + 5.0))

    async def _open(self, http: aiohttp.ClientSession) -> Transport:
        problem = TransportError("no transport is allowed")
        for name in self._names:
            if name == "websocket":
                transport: Transport = WebSocketTransport(
                    http, self.url, self._headers, self._on_messages, self._on_lost, packed=self._packed
                )
            else:
                transport = LongPollingTransport(http, self.url, self._headers, self._on_messages)
            try:
                await transport.open()
            except TransportError as error:
                problem = error
            else:
                return transport
        raise problem

    async def _shake_hands(self, transport: Transport) -> None:
        session = self._session
        reply = await self._request(transport, session.handshake([transport.connection_type]))
        if not reply.get("successful"):
            raise RefusedError(str(reply.get("error", "the handshake was refused")))
        session.shook_hands(reply)

    async def _subscribe_again(self, transport: Transport) -> None:
        for channel, subscriptions in list(self._subscriptions.items()):
            for subscription in subscriptions:
                try:
                    await self._subscribe(transport, subscription)
                except RefusedError as error:
                    subscription.end()
                    self.tell_gap(Gap(channel, f"the server refuses it now: {error}"))
                    continue
                if not self._session.replays:
                    self.tell_gap(Gap(channel, "the session was lost, and the server keeps no history"))

    async def _subscribe(self, transport: Transport, subscription: Subscription) -> None:
        message = self._session.subscribe(subscription.channel, subscription.ext, subscription.replay())
        reply = _checked(await self._request(transport, message))
        for channel in ((reply.get("ext") or {}).get("replay") or {}).get("gaps", ()):
            self.tell_gap(Gap(channel, "the server's history does not reach back that far"))

    async def _ready(self) -> Transport:
        """Return the transport once there is a connection."""
        if self._running is None:
            raise ClientClosedError("the client is not open")
        waiting = asyncio.create_task(self._connected.wait())
        await asyncio.wait({waiting, self._running}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._connected.is_set() and self._transport is not None:
            return self._transport
        if self._running.done():
            raise self._problem or ClientClosedError("the client is closed")
        raise TransportError(f"no connection in {self._timeout_s:g} s: {self._problem}")

    # ---- messages

    async def _request(self, transport: Transport, message: Message, *, patience_s: float | None = None) -> Message:
        return (await self._exchange(transport, [message], patience_s=patience_s))[0]

    async def _exchange(
        self, transport: Transport, messages: Sequence[Message], *, patience_s: float | None = None
    ) -> list[Message]:
        """Send a batch and return its replies."""
        sent = [message if "id" in message else message | {"id": self._session.next_id()} for message in messages]
        loop = asyncio.get_running_loop()
        replies = {message["id"]: loop.create_future() for message in sent}
        self._replies |= replies
        wait_s = patience_s or self._timeout_s
        try:
            async with asyncio.timeout(wait_s):
                await transport.send(sent)
                return list(await asyncio.gather(*replies.values()))
        except TimeoutError:
            raise TransportError(f"no answer in {wait_s:g} s") from None
        finally:
            for name, reply in replies.items():
                self._replies.pop(name, None)
                reply.cancel()

    async def _on_messages(self, messages: list[Message]) -> None:
        for message in messages:
            name = message.get("id")
            if "data" not in message:
                self._settle(self._replies.get(str(name)), message)
            elif name is not None and str(name) in self._calls:
                self._settle(self._calls[str(name)], message)
            else:
                await self._deliver(message)

    async def _deliver(self, message: Message) -> None:
        ext = message.get("ext")
        replay_id = ((ext or {}).get("replay") or {}).get("id")
        event = Event(message["channel"], message["data"], replay_id, ext)
        for name in _names_of(event.channel):
            for subscription in list(self._subscriptions.get(name, ())):
                waiting = subscription.arrived(event)
                if waiting is not None:
                    await waiting

    @staticmethod
    def _settle(future: asyncio.Future[Message] | None, message: Message) -> None:
        if future is not None and not future.done():
            future.set_result(message)

    def _on_lost(self, reason: str) -> None:
        for future in [*self._replies.values(), *self._calls.values()]:
            if not future.done():
                future.set_exception(TransportError(reason))
                future.exception()  # whoever waits sees it; if nobody does, it is no news

    # ---- states

    def _become(self, state: ClientState) -> None:
        if state is not self.state:
            self.state = state
            for callback in self.on_state:
                callback(state)

    async def _leave(self) -> None:
        self._connected.clear()
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    def _end(self, problem: Exception) -> None:
        self._problem = self._problem if isinstance(problem, ClientClosedError) and self._problem else problem
        self._connected.clear()
        self._become(ClientState.CLOSED)
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.end()

    def _drop(self, subscription: Subscription) -> None:
        others = [each for each in self._subscriptions.get(subscription.channel, ()) if each is not subscription]
        if others:
            self._subscriptions[subscription.channel] = others
        else:
            self._subscriptions.pop(subscription.channel, None)


def _checked(reply: Message) -> Message:
    if not reply.get("successful"):
        raise RefusedError(str(reply.get("error", "")))
    return reply


def _names_of(channel: str) -> tuple[str, ...]:
    return ChannelId(channel, tuple(channel[1:].split("/"))).matching()

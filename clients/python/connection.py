"""Keeps a session alive: connects, shakes hands, subscribes again, and holds the connect that is the heartbeat."""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Literal

import aiohttp
import structlog

from clients.python.backoff import Backoff
from clients.python.errors import ClientClosedError, NoAnswerError, RefusedError, TransportError
from clients.python.events import ClientState, Gap
from clients.python.exchange import Exchange, checked
from clients.python.session import ClientSession, Message, SessionLost
from clients.python.subscriptions import Subscriptions
from clients.python.transports import LongPollingTransport, Transport, UnavailableError, WebSocketTransport

log = structlog.get_logger()

TransportName = Literal["auto", "websocket", "long-polling"]

#: A bearer token, or what returns a good one; that is asked for each new session.
Token = str | Callable[[], str | Awaitable[str]]

#: Seconds the goodbye may take.
GOODBYE_S = 1.0


class Connection:
    """A session, and whatever connection it has now.

    Args:
        transport: A transport's name, or ``auto``.
        packed: Ask for MessagePack on a WebSocket.
        timeout_s: Seconds to wait for a connection, and for the answer to a message.
        on_state: Called with each new state.
        on_gap: Called when events may be missing.

    Attributes:
        state: Where it stands.
        problem: What went wrong last; None while all is well.
    """

    def __init__(
        self,
        url: str,
        session: ClientSession,
        exchange: Exchange,
        subscriptions: Subscriptions,
        *,
        transport: TransportName,
        packed: bool,
        token: Token | None,
        timeout_s: float,
        backoff: Backoff,
        on_state: Callable[[ClientState], None],
        on_gap: Callable[[Gap], None],
    ) -> None:
        self.state = ClientState.CLOSED
        self.problem: Exception | None = None
        self._url = url
        self._session = session
        self._exchange = exchange
        self._subscriptions = subscriptions
        self._names = ["websocket", "long-polling"] if transport == "auto" else [transport]
        self._packed = packed
        self._token = token
        self._headers: dict[str, str] = {}
        self._timeout_s = timeout_s
        self._backoff = backoff
        self._on_state = on_state
        self._on_gap = on_gap
        self._transport: Transport | None = None
        self._http: aiohttp.ClientSession | None = None
        self._running: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        #: A new session has no subscriptions yet; also if the connection went before it got them all.
        self._lacks_subscriptions = False

    # ---- for the client

    def start(self) -> None:
        """Begin to connect."""
        # Servers are reached by address too; the cookie that binds the session must be kept for those as well.
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self._running = asyncio.create_task(self._run(self._http))

    async def stop(self) -> None:
        """Say goodbye if there is a connection, and end everything. Does nothing the second time."""
        running, self._running = self._running, None
        if running is None or self._http is None:
            return
        running.cancel()
        await asyncio.wait([running])
        if self.current is not None:
            with contextlib.suppress(TransportError):
                await self._exchange.request(self.current, self._session.disconnect(), patience_s=GOODBYE_S)
        await self._leave("the client was closed")
        self._end(None)
        await self._http.close()

    @property
    def current(self) -> Transport | None:
        """The transport, if it is connected now."""
        return self._transport if self._connected.is_set() else None

    async def ready(self) -> Transport:
        """Return the transport once it is connected.

        Raises:
            ClientClosedError: If it is closed, or the server told it not to come back.
            RefusedError: If the server refuses the handshake for good.
            TransportError: If that takes longer than ``timeout_s``.
        """
        running = self._running
        if running is None:
            raise ClientClosedError("the client is not open")
        waiting = asyncio.create_task(self._connected.wait())
        await asyncio.wait({waiting, running}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.current is not None:
            return self.current
        if running.done():
            raise self.problem or ClientClosedError("the client is closed")
        raise TransportError(f"no connection in {self._timeout_s:g} s: {self.problem}")

    async def ended(self) -> None:
        """Return when it has ended.

        Raises:
            RefusedError: If the server refused a new session.
            ClientClosedError: If the server told it not to come back.
        """
        running = self._running
        if running is not None:
            await asyncio.wait([running])
            if self._running is not None and self.problem is not None:
                raise self.problem

    def use(self, token: str) -> None:
        """Send another token from now on. A function that gives tokens is still asked at the next session."""
        if not callable(self._token):
            self._token = token
        self._session.token = token
        self._headers["Authorization"] = f"Bearer {token}"

    async def subscribe(self, transport: Transport, channel: str, ext: Message, replay: dict[str, int]) -> None:
        """Subscribe on the server.

        Raises:
            RefusedError: If the server refuses.
            TransportError: If the connection is lost meanwhile.
        """
        with self._subscriptions.subscribing() as replied:
            replied(checked(await self._request(transport, self._session.subscribe(channel, ext, replay))))

    # ---- keeping alive

    async def _run(self, http: aiohttp.ClientSession) -> None:
        """Connect, and connect again, until closed or told not to."""
        while True:
            try:
                await self._stay_connected(http)
            except SessionLost as lost:
                log.info("client.session_lost", reason=str(lost))
                self._connected.clear()
                if self._session.reconnect == "none":
                    return await self._give_up(ClientClosedError(f"the server ended the session: {lost}"))
            except RefusedError as error:
                return await self._give_up(error)
            except TransportError as error:
                if self._session.reconnect == "none":
                    return await self._give_up(ClientClosedError("the server ended the session"))
                self.problem = error
                log.info("client.connection_lost", reason=str(error))
                if isinstance(error, NoAnswerError) and not self._connected.is_set() and self._transport is not None:
                    self._avoid(self._transport.connection_type)
                await self._leave(str(error))
            self._become(ClientState.RECONNECTING)
            await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        """Return how long to wait for the next try: a server that stops says longer, to each client another time."""
        return max(self._session.interval_ms / 1_000, self._backoff.next_s())

    async def _stay_connected(self, http: aiohttp.ClientSession) -> None:
        self._become(ClientState.CONNECTING if self.state is ClientState.CLOSED else ClientState.RECONNECTING)
        session, is_new = self._session, self._session.client_id is None
        if is_new:
            await self._take_token()
        if self._transport is None:
            self._transport = await self._open(http)
        transport = self._transport
        if is_new:
            await self._shake_hands(transport)
        session.connected(await self._request(transport, session.connect(transport.connection_type, hold=False)))
        if self._lacks_subscriptions:
            await self._subscribe_again(transport)
        self._backoff.reset()
        self.problem = None
        self._become(ClientState.CONNECTED)
        self._connected.set()
        while True:
            await asyncio.sleep(session.interval_ms / 1_000)
            connect = session.connect(transport.connection_type, hold=True)
            patience_s = session.patience_s + self._timeout_s
            session.connected(await self._exchange.request(transport, connect, patience_s=patience_s))

    async def _take_token(self) -> None:
        try:
            token = self._token() if callable(self._token) else self._token
            token = await token if inspect.isawaitable(token) else token
        except Exception as error:
            raise TransportError(f"there is no token now: {type(error).__name__}") from error
        if token is not None:
            self.use(token)

    async def _open(self, http: aiohttp.ClientSession) -> Transport:
        problem: TransportError = UnavailableError("no transport is allowed")
        for name in self._names:
            received = self._exchange.received
            if name == "websocket":
                transport: Transport = WebSocketTransport(
                    http, self._url, self._headers, received, self._exchange.lost, packed=self._packed
                )
            else:
                transport = LongPollingTransport(http, self._url, self._headers, received)
            try:
                async with asyncio.timeout(self._timeout_s):
                    await transport.open()
            except UnavailableError as error:
                problem = error
            except TimeoutError:
                problem = UnavailableError(f"{name} did not open in {self._timeout_s:g} s")
            else:
                return transport
        raise problem

    def _avoid(self, name: str) -> None:
        """Try a way last that opens and then carries nothing, as some proxies make of WebSockets."""
        self._names.sort(key=lambda other: other == name)

    async def _shake_hands(self, transport: Transport) -> None:
        session = self._session
        reply = await self._request(transport, session.handshake([transport.connection_type]))
        if not reply.get("successful"):
            error = str(reply.get("error", "the handshake was refused"))
            if (reply.get("advice") or {}).get("reconnect") in ("retry", "handshake"):
                raise TransportError(error)  # not for good
            raise RefusedError(error)
        session.shook_hands(reply)
        self._lacks_subscriptions = True

    async def _subscribe_again(self, transport: Transport) -> None:
        replays = self._session.replays
        for channel in self._subscriptions.channels:
            gap = self._subscriptions.unknowable_gap(channel, replays=replays)
            ext = self._subscriptions.of(channel)[-1].ext
            try:
                await self.subscribe(transport, channel, ext, self._subscriptions.replay_of(channel))
            except RefusedError as error:
                self._subscriptions.refused(channel, error)
                gap = Gap(channel, f"the server refuses it now: {error}")
            if gap is not None:
                self._on_gap(gap)
        self._lacks_subscriptions = False

    async def _request(self, transport: Transport, message: Message) -> Message:
        return await self._exchange.request(transport, message, patience_s=self._timeout_s)

    # ---- states

    def _become(self, state: ClientState) -> None:
        if state is not self.state:
            self.state = state
            self._on_state(state)

    async def _leave(self, reason: str) -> None:
        self._connected.clear()
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()
        self._exchange.lost(reason)

    async def _give_up(self, problem: Exception) -> None:
        self.problem = problem
        await self._leave(str(problem))
        self._end(problem)

    def _end(self, problem: Exception | None) -> None:
        for subscription in self._subscriptions:
            self._subscriptions.drop(subscription)
            subscription.end(problem)
        self._become(ClientState.CLOSED)

"""Whether the peer of a WebSocket is still there, and whether anybody needs the socket."""

import asyncio
from collections.abc import Callable
from typing import Final

from bayeux_server.server.core import Core
from bayeux_server.server.timers import Timer
from bayeux_server.transports import frames
from bayeux_server.transports.context import WireSettings

#: A client that answers a ping is there. How long it may take to.
ALIVE_TIMEOUT_S: Final = 1.0


class Liveness:
    """Pings a peer that is silent, and finds sockets that carry no session.

    Args:
        is_needed: Whether a session uses the socket.
        on_idle: Called when none has for the time a socket without one may stay.
    """

    __slots__ = (
        "_clock",
        "_heard",
        "_idle_timer",
        "_is_needed",
        "_last_heard_s",
        "_last_message_s",
        "_on_idle",
        "_ping_timer",
        "_settings",
        "_timers",
        "_transport",
    )

    def __init__(
        self,
        core: Core,
        settings: WireSettings,
        transport: asyncio.Transport,
        is_needed: Callable[[], bool],
        on_idle: Callable[[], None],
    ) -> None:
        self._clock = core.clock
        self._timers = core.timers
        self._settings = settings
        self._transport = transport
        self._is_needed = is_needed
        self._on_idle = on_idle
        self._heard: asyncio.Future[None] | None = None
        self._last_message_s = self._last_heard_s = self._clock.now()
        self._idle_timer = self._watch_idleness(self._last_message_s)
        self._ping_timer = self._ping_later()

    def heard(self) -> None:
        """Something came, be it a pong."""
        self._last_heard_s = self._clock.now()
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    def message_came(self) -> None:
        """A message is in what came."""
        self._last_message_s = self._last_heard_s

    async def alive(self) -> bool:
        """Return whether the peer answers a ping within a second."""
        if self._heard is None or self._heard.done():
            self._heard = asyncio.get_running_loop().create_future()
            self._transport.write(frames.EMPTY_PING)
        try:
            async with asyncio.timeout(ALIVE_TIMEOUT_S):
                await asyncio.shield(self._heard)
        except TimeoutError:
            return False
        return not self._transport.is_closing()

    def close(self) -> None:
        """Look no more: the connection is gone."""
        self._idle_timer.cancel()
        self._ping_timer.cancel()
        # They are the connection's, whose we are: what refers to itself waits for the garbage collector.
        self._is_needed, self._on_idle = _is_not, _do_nothing
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    # ---- idleness

    def _watch_idleness(self, since_s: float) -> Timer:
        return self._timers.call_at(since_s + self._settings.idle_socket_timeout_s, self._check_idleness)

    def _check_idleness(self) -> None:
        now_s = self._clock.now()
        if self._is_needed():
            self._idle_timer = self._watch_idleness(now_s)
        elif now_s >= self._last_message_s + self._settings.idle_socket_timeout_s:
            self._on_idle()
        else:
            self._idle_timer = self._watch_idleness(self._last_message_s)

    # ---- pings

    def _ping_later(self) -> Timer:
        return self._timers.call_at(self._last_heard_s + self._settings.ping_interval_s, self._ping)

    def _ping(self) -> None:
        now_s = self._clock.now()
        if now_s < self._last_heard_s + self._settings.ping_interval_s:
            self._ping_timer = self._ping_later()
        elif not self._transport.is_closing():
            self._transport.write(frames.EMPTY_PING)
            self._ping_timer = self._timers.call_at(now_s + self._settings.ping_interval_s / 2, self._expect_pong)

    def _expect_pong(self) -> None:
        """A dead peer is noticed here: TCP alone would not tell for a quarter of an hour."""
        if self._clock.now() < self._last_heard_s + self._settings.ping_interval_s:
            self._ping_timer = self._ping_later()
        elif self._transport.is_reading():
            self._transport.abort()
        else:
            self._ping()  # we do not listen, so its silence says nothing


def _is_not() -> bool:
    return False


def _do_nothing() -> None:
    return

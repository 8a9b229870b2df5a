"""One Bayeux session of the load: handshake, connect, subscribe, publish, without the transport that carries it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from clients.load.fleet import Fleet
from clients.load.ledger import Ledger
from clients.load.topology import Member

Reply = dict[str, Any]

# Before a lost connection is tried again where the server's advice names no interval.
RETRY_S = 1.0


class Session(ABC):
    """A Bayeux client; a subclass gives it a transport.

    Attributes:
        member: What it subscribes to and publishes.
        ledger: What it received.
        client_id: Its clientId, empty before the handshake.
        is_ready: Whether it holds all its subscriptions and its connects are answered.
        is_over: Whether it failed, was dropped or was closed: it will do nothing more.
        on_ready: Called each time it becomes ready.
        on_failed: Called when it is over before that, or dropped after.
    """

    connection_type = ""

    def __init__(self, member: Member, fleet: Fleet) -> None:
        self.member, self.fleet = member, fleet
        self.ledger = Ledger(dict.fromkeys(member.expects, 0))
        self.client_id = ""
        self.is_ready = self.is_over = False
        self.on_ready: Callable[[], None] = _nothing
        self.on_failed: Callable[[], None] = _nothing
        self._has_connected = self._has_subscribed = self._resuming = self._is_shaking = False
        self._ids = 0
        self._waiting: dict[str, Callable[[bool], None]] = {}

    # What a transport provides.

    @abstractmethod
    def open(self) -> None:
        """Connect to the server and begin the handshake."""

    @abstractmethod
    def send(self, payload: bytes) -> None:
        """Send a JSON array of messages other than a connect."""

    @abstractmethod
    def send_connect(self, payload: bytes) -> None:
        """Send a JSON array of one /meta/connect, which the server may hold."""

    @abstractmethod
    def publish(self, messages: Iterable[bytes]) -> None:
        """Send publishes, each a JSON object, in as few requests as the transport allows."""

    @abstractmethod
    def hang_up(self, *, abruptly: bool = False) -> None:
        """Close the connections, without a word to the server."""

    @abstractmethod
    def read_slowly(self) -> None:
        """From now on read no more than the member's bytes per second."""

    # What every transport does alike.

    @property
    def handshake_ext(self) -> dict[str, Any]:
        """``ext`` of the handshake, such as a token; may be empty."""
        return self.fleet.handshake_ext

    def handshake(self) -> None:
        """Send /meta/handshake."""
        if self.is_over or self._is_shaking:
            return
        self.client_id, self._is_shaking = "", True
        message: dict[str, Any] = {
            "channel": "/meta/handshake",
            "version": "1.0",
            "supportedConnectionTypes": [self.connection_type],
            "id": self._next_id(),
        }
        if self.handshake_ext:
            message["ext"] = self.handshake_ext
        self.send(_encode(message))

    def connect(self, *, at_once: bool = False) -> None:
        """Send /meta/connect; ``at_once`` asks the server not to hold it."""
        if self.is_over or not self.client_id:
            return
        message: dict[str, Any] = {
            "channel": "/meta/connect",
            "clientId": self.client_id,
            "connectionType": self.connection_type,
            "id": self._next_id(),
        }
        if at_once:
            message["advice"] = {"timeout": 0}
        self.send_connect(_encode(message))

    def request(self, channel: str, subscription: str | list[str], then: Callable[[bool], None]) -> None:
        """Send /meta/subscribe or /meta/unsubscribe and call ``then(successful)`` on its reply."""
        number = self._next_id()
        self._waiting[number] = then
        self.send(_encode({"channel": channel, "clientId": self.client_id, "subscription": subscription, "id": number}))

    def resume(self) -> None:
        """Come back after a cut with the clientId there is; ready again when the subscriptions are confirmed."""
        if self.is_ready:
            self.fleet.tally.ready -= 1
        self.is_ready = self._has_subscribed = self._is_shaking = False
        self._resuming = True
        self.open()

    def leave(self) -> None:
        """Send /meta/disconnect and hang up."""
        if self.client_id and not self.is_over:
            message = {"channel": "/meta/disconnect", "clientId": self.client_id, "id": self._next_id()}
            self.is_over = True
            self.send(_encode(message))
        self.is_over = True
        self.hang_up()

    def answered(self, reply: Reply) -> None:
        """Act on one reply of the server."""
        if self.is_over:
            return
        channel, successful = str(reply.get("channel", "")), reply.get("successful") is True
        if channel == "/meta/connect":
            self._connect_answered(reply, successful)
        elif channel == "/meta/handshake":
            self._handshake_answered(reply, successful)
        elif channel in ("/meta/subscribe", "/meta/unsubscribe"):
            if not successful:
                self.fleet.tally.refused[f"{channel}: {_error(reply)}"] += 1
            self._waiting.pop(str(reply.get("id")), _ignore)(successful)
        elif channel == "/meta/disconnect":
            self.over("disconnected by the server")
        elif successful:
            self.fleet.tally.accepted += 1
        else:
            self.fleet.tally.refused[f"publish: {_error(reply)}"] += 1

    def over(self, reason: str) -> None:
        """The session ended for ``reason``, and not by our own wish."""
        if self.is_over:
            return
        self.is_over = True
        (self.fleet.tally.dropped if self.is_ready else self.fleet.tally.failed)[reason] += 1
        self.hang_up()
        self.on_failed()

    def reconnected(self) -> None:
        """The transport stands: begin a session, or go on with the one there is."""
        if self.client_id:
            self.connect()
            self.request("/meta/subscribe", list(self.member.channels), self._resumed)
        else:
            self.handshake()

    def _resumed(self, successful: bool) -> None:
        if successful and self._resuming:
            self.fleet.tally.resumed += 1
            self._resuming = False
            self._subscribed(successful)
        elif not successful:
            self.handshake()

    def _handshake_answered(self, reply: Reply, successful: bool) -> None:
        self._is_shaking = False
        if not successful or not isinstance(reply.get("clientId"), str):
            self.over(f"handshake: {_error(reply)}")
            return
        self.client_id = reply["clientId"]
        self._has_connected = self._has_subscribed = False
        for stream in self.member.publishes:
            stream.prepare(self.client_id, self.fleet.payload_bytes)
        if self._resuming:
            self.fleet.tally.renewed += 1
            self._resuming = False
        self.connect(at_once=True)
        if self.member.channels:
            self.request("/meta/subscribe", list(self.member.channels), self._subscribed)
        else:
            self._has_subscribed = True

    def _subscribed(self, successful: bool) -> None:
        if not successful:
            self.over("subscribe was refused")
            return
        self._has_subscribed = True
        self._perhaps_ready()

    def _connect_answered(self, reply: Reply, successful: bool) -> None:
        advice = reply.get("advice") if isinstance(reply.get("advice"), dict) else {}
        reconnect = "retry" if successful else "handshake"
        interval_s = 0.0
        if isinstance(advice, dict):
            reconnect = str(advice.get("reconnect", reconnect))
            interval_s = float(advice.get("interval") or 0) / 1000
        if not successful and reconnect == "handshake":
            # At once the first time, as clients do; a server that keeps saying so is not asked in a circle.
            self.fleet.reactor.call_later(0 if self._has_connected or self._resuming else RETRY_S, self.handshake)
        elif reconnect == "none" or (not successful and reconnect != "retry"):
            self.over(f"connect: {_error(reply)}")
        else:
            self._connected(successful, interval_s)

    def _connected(self, successful: bool, interval_s: float) -> None:
        if successful and not self._has_connected:
            self._has_connected = True
            self._perhaps_ready()
        if interval_s > 0 or not successful:
            self.fleet.reactor.call_later(max(interval_s, 0 if successful else RETRY_S), self.connect)
        else:
            self.connect()

    def _perhaps_ready(self) -> None:
        if self._has_connected and self._has_subscribed and not self.is_ready and not self.is_over:
            self.is_ready = True
            self.fleet.tally.ready += 1
            self.on_ready()

    def _next_id(self) -> str:
        self._ids += 1
        return f"m{self._ids}"


def _encode(message: dict[str, Any]) -> bytes:
    return json.dumps([message], separators=(",", ":")).encode()


def _error(reply: Reply) -> str:
    # Only the code and the text: the arguments between them may be anything.
    code, _, rest = str(reply.get("error", "no reason given")).partition(":")
    return f"{code} {rest.rpartition(':')[2]}".strip()


def _nothing() -> None:
    return None


def _ignore(_successful: bool) -> None:
    return None

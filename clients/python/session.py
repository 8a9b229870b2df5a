"""One session's side of the protocol, without I/O: what to send, and what an answer means."""

from typing import Any

from bayeux_server.protocol.messages import (
    META_CONNECT,
    META_DISCONNECT,
    META_HANDSHAKE,
    META_SUBSCRIBE,
    META_UNSUBSCRIBE,
    VERSION,
)

Message = dict[str, Any]

#: How much longer than its hold time a connect may take before the connection counts as dead; as stock clients do.
PATIENCE = 1.2


class SessionLost(Exception):
    """The server does not know the session any more, or does not serve it now. ``reconnect`` says what is due."""


class ClientSession:
    """Makes the messages of one client and keeps what the server said.

    Attributes:
        client_id: None before a handshake and after the session was lost.
        hold_timeout_ms: How long the server says it holds a connect.
        interval_ms: How long it says to wait before the next.
        reconnect: ``retry``, ``handshake`` or ``none``, as last advised.
        replays: Whether the server has a history.
        token: Bearer token for the next handshake.
    """

    def __init__(self, *, wants_ack: bool) -> None:
        self.client_id: str | None = None
        self.hold_timeout_ms = 30_000
        self.interval_ms = 0
        self.reconnect = "retry"
        self.replays = False
        self.token: str | None = None
        self._wants_ack = wants_ack
        self._acknowledges = False
        self._last_batch = 0

    @property
    def patience_s(self) -> float:
        """Seconds after which a connect without an answer means that the connection is dead."""
        return PATIENCE * self.hold_timeout_ms / 1_000

    def handshake(self, connection_types: list[str]) -> Message:
        """Return a handshake."""
        ext: Message = {"ack": True} if self._wants_ack else {}
        if self.token is not None:
            ext["auth"] = {"token": self.token}
        message = {
            "channel": META_HANDSHAKE,
            "version": VERSION,
            "minimumVersion": VERSION,
            "supportedConnectionTypes": connection_types,
        }
        return message | ({"ext": ext} if ext else {})

    def shook_hands(self, reply: Message) -> None:
        """Keep what a successful handshake said."""
        ext = reply.get("ext") or {}
        self.client_id = reply["clientId"]
        self.reconnect = "retry"
        self.replays = bool(ext.get("replay"))
        self._acknowledges = bool(ext.get("ack"))
        self._last_batch = 0
        self.advised(reply)

    def connect(self, connection_type: str, *, hold: bool) -> Message:
        """Return a connect; one that is not to be held finds out how things stand."""
        message: Message = {
            "channel": META_CONNECT,
            "clientId": self.client_id,
            "connectionType": connection_type,
        }
        if not hold:
            message["advice"] = {"timeout": 0}
        if self._acknowledges:
            message["ext"] = {"ack": self._last_batch}
        return message

    def connected(self, reply: Message) -> None:
        """Keep what a connect's reply said.

        Raises:
            SessionLost: If the session is not known any more.
        """
        self.advised(reply)
        if not reply.get("successful"):
            if self.reconnect == "handshake":
                self.client_id = None
            raise SessionLost(str(reply.get("error", "")))
        if self.reconnect == "none":
            raise SessionLost("it was disconnected")
        batch = (reply.get("ext") or {}).get("ack")
        if isinstance(batch, int):
            self._last_batch = batch

    def noticed(self, message: Message) -> None:
        """Keep what the server said unasked: that it ends the session."""
        if message.get("channel") == META_DISCONNECT:
            self.reconnect = "none"

    def advised(self, reply: Message) -> None:
        """Follow the advice of a reply."""
        advice = reply.get("advice") or {}
        self.reconnect = advice.get("reconnect", self.reconnect)
        self.interval_ms = advice.get("interval", self.interval_ms)
        self.hold_timeout_ms = advice.get("timeout", self.hold_timeout_ms) or self.hold_timeout_ms

    def subscribe(self, channel: str, ext: Message, replay: dict[str, int]) -> Message:
        """Return a subscription, to be told what its history holds after ``replay``."""
        ext = ext | ({"replay": replay} if replay and self.replays else {})
        message = {"channel": META_SUBSCRIBE, "clientId": self.client_id, "subscription": channel}
        return message | ({"ext": ext} if ext else {})

    def unsubscribe(self, channel: str) -> Message:
        """Return the end of a subscription."""
        return {"channel": META_UNSUBSCRIBE, "clientId": self.client_id, "subscription": channel}

    def publish(self, channel: str, data: Any) -> Message:
        """Return a publish."""
        return {"channel": channel, "clientId": self.client_id, "data": data}

    def disconnect(self) -> Message:
        """Return the end of the session."""
        return {"channel": META_DISCONNECT, "clientId": self.client_id}

"""The parts of a server that its handlers share."""

from collections.abc import Callable
from random import randrange
from typing import Final

import msgspec

from bayeux_server.ports import Broker
from bayeux_server.protocol.advice import Advice, Reconnect
from bayeux_server.protocol.channel_id import ChannelGrammar, ChannelId
from bayeux_server.protocol.messages import Subscribe
from bayeux_server.server.authorizer import SecurityPolicy
from bayeux_server.server.binding import Binding
from bayeux_server.server.channel import ChannelIndex
from bayeux_server.server.clock import Clock
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Hooks
from bayeux_server.server.flush import Flush
from bayeux_server.server.limits import Limits
from bayeux_server.server.observer import Observer
from bayeux_server.server.registry import SessionRegistry
from bayeux_server.server.remote_call import RemoteCalls
from bayeux_server.server.session import ServerSession
from bayeux_server.server.timers import Timers

#: Bayeux connection types spoken here, in the order they are advertised.
CONNECTION_TYPES: Final = (
    "websocket",
    "eventsource",
    "long-polling",
    "cross-origin-long-polling",
    "callback-polling",
)

#: Called with each view of a publication and how many sessions it was queued for. Must return at once.
DeliveredListener = Callable[[Delivery, int], None]

#: Called after a subscription was recorded or removed. ``message`` is None where the server itself did it.
SubscriptionListener = Callable[[ServerSession, ChannelId, Subscribe | None], None]

#: Called when a session may have lost or got a connection; :attr:`ServerSession.has_connection` says which is true now.
#: Must return at once.
ConnectionListener = Callable[[ServerSession], None]


class Times(msgspec.Struct, frozen=True):
    """The times of connecting, in milliseconds.

    Attributes:
        hold_timeout_ms: How long an idle connect is held.
        interval_ms: What clients wait between connects.
        max_interval_ms: How long a session lives without a held connect.
        lazy_timeout_ms: How long a lazy message waits for company.
        sweep_interval_ms: How often empty channels are removed.
        multiple_clients_interval_ms: How often a browser's surplus sessions poll.
    """

    hold_timeout_ms: int = 25_000
    interval_ms: int = 0
    max_interval_ms: int = 45_000
    lazy_timeout_ms: int = 5_000
    sweep_interval_ms: int = 10_000
    multiple_clients_interval_ms: int = 2_000


class Bounds(msgspec.Struct, frozen=True):
    """What one peer may ask for.

    Attributes:
        max_subscriptions_per_session: Channels and patterns one session may subscribe to.
        max_held_connects: Connects held at once in all; beyond, they are answered at once with an interval.
        max_held_per_browser: Long-polls of one browser held at once; -1 for any number.
    """

    max_subscriptions_per_session: int = 5_000
    max_held_connects: int = 1_000_000
    max_held_per_browser: int = 1


class Core(msgspec.Struct, kw_only=True):
    """Everything a handler needs. Made once, in the composition root."""

    clock: Clock
    timers: Timers
    flush: Flush
    broker: Broker
    grammar: ChannelGrammar
    channels: ChannelIndex
    sessions: SessionRegistry
    hooks: Hooks
    policy: SecurityPolicy
    binding: Binding
    remote_calls: RemoteCalls
    observer: Observer
    times: Times = Times()
    bounds: Bounds = Bounds()
    limits: Limits = Limits()
    connection_types: tuple[str, ...] = CONNECTION_TYPES
    on_subscribed: list[SubscriptionListener] = msgspec.field(default_factory=list)
    on_unsubscribed: list[SubscriptionListener] = msgspec.field(default_factory=list)
    on_connection: list[ConnectionListener] = msgspec.field(default_factory=list)
    on_delivered: list[DeliveredListener] = msgspec.field(default_factory=list)
    #: While we drain, clients are told to come back after a time of their own within this one, not all at once.
    drain_jitter_ms: int = 0

    def advice(self, reconnect: Reconnect = "retry", *, interval_ms: int | None = None) -> Advice:
        """Return complete advice."""
        interval = self.times.interval_ms if interval_ms is None else interval_ms
        if self.drain_jitter_ms:
            interval += randrange(self.drain_jitter_ms)
        return Advice(reconnect=reconnect, interval=interval, timeout=self.times.hold_timeout_ms)

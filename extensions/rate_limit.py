"""Bounds how often peers publish, subscribe and shake hands: per session, per user, and per address.

A publish or subscription beyond a limit is refused with 429. A handshake is shed with HTTP 503 instead, after which
stock clients come back in their own time; refused in any other way, some would try again at once and for ever.
"""

import ipaddress
from collections import OrderedDict
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from prometheus_client import CollectorRegistry, Counter, Gauge

from bayeux_server.errors import Overloaded, RemoteError
from bayeux_server.host import ExtensionContext
from bayeux_server.protocol.messages import Handshake, Message, Publish, Subscribe
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.clock import Clock
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from extensions.sections import Count


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token bucket.

    Attributes:
        per_s: Tokens that flow in per second; 0 for no limit.
        burst: Tokens a full bucket holds.
    """

    per_s: Annotated[float, Meta(ge=0)]
    burst: Count


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of one kind of message. None for no limit."""

    session: Rate | None = None
    user: Rate | None = None
    address: Rate | None = None


class RateLimitSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[extensions.rate_limit]``. The limits of an address are generous: an office of hundreds sits behind one."""

    publish: Rates = Rates(Rate(100, 500), Rate(200, 1_000), Rate(5_000, 20_000))
    subscribe: Rates = Rates(Rate(100, 5_000), Rate(500, 20_000), Rate(10_000, 200_000))
    handshake: Rates = Rates(None, Rate(5, 100), Rate(200, 2_000))
    max_tracked: Count = 100_000


class Buckets:
    """Token buckets by key, with a bound.

    A bucket is one number: the time at which it will be full again (the generic cell rate algorithm). Full buckets need
    not be remembered, and are the first to be forgotten; then the one longest unused.

    Args:
        max_tracked: Buckets remembered.
    """

    def __init__(self, rate: Rate, max_tracked: int) -> None:
        self._cost_s = 1 / rate.per_s
        self._depth_s = rate.burst / rate.per_s
        self._burst = rate.burst
        self._max_tracked = max_tracked
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at_s)

    def allows(self, key: str, tokens: int, now_s: float) -> bool:
        """Return whether the bucket has so many tokens. More than a full bucket holds count as all it holds."""
        full_at_s = max(now_s, self._full_at_s.get(key, now_s))
        # A hair of tolerance: sums of floats are not exact, and a client that keeps the rate must not be refused.
        return full_at_s + self._price_s(tokens) <= now_s + self._depth_s + 1e-9

    def take(self, key: str, tokens: int, now_s: float) -> None:
        """Take so many tokens."""
        self._full_at_s[key] = max(now_s, self._full_at_s.pop(key, now_s)) + self._price_s(tokens)
        if len(self._full_at_s) > self._max_tracked:
            self._full_at_s.popitem(last=False)

    def _price_s(self, tokens: int) -> float:
        return min(tokens, self._burst) * self._cost_s


class Limiter:
    """The buckets of one kind of message, in three scopes."""

    def __init__(self, rates: Rates, max_tracked: int, clock: Clock) -> None:
        self._clock = clock
        self.scopes = {
            scope: Buckets(rate, max_tracked)
            for scope in ("session", "user", "address")
            if (rate := getattr(rates, scope)) is not None and rate.per_s > 0
        }

    def refused_by(self, session: ServerSession, tokens: int, *scopes: str) -> str | None:
        """Take tokens in each of the scopes, or in none and return the scope that has too few."""
        keys = {"session": session.id, "user": session.user_id, "address": _place(session.address)}
        concerned = [
            (buckets, key, scope)
            for scope in scopes
            if (buckets := self.scopes.get(scope)) is not None and (key := keys[scope]) is not None
        ]
        now_s = self._clock.now()
        for buckets, key, scope in concerned:
            if not buckets.allows(key, tokens, now_s):
                return scope
        for buckets, key, _ in concerned:
            buckets.take(key, tokens, now_s)
        return None


class RateLimit(Extension):
    """Refuses what comes too often. Put it before ``authentication``: reading a token is work worth limiting."""

    name = "rate_limit"

    def __init__(self, server: BayeuxServer, section: RateLimitSection, registry: CollectorRegistry) -> None:
        self._server = server
        limiters = {
            operation: Limiter(getattr(section, operation), section.max_tracked, server.core.clock)
            for operation in ("publish", "subscribe", "handshake")
        }
        self._publish, self._subscribe, self._handshake = limiters.values()
        self._refused = Counter(
            "bayeux_rate_limited_total", "Messages refused for their rate", ["operation", "scope"], registry=registry
        )
        tracked = Gauge("bayeux_rate_limit_buckets", "Buckets remembered", ["operation", "scope"], registry=registry)
        for operation, limiter in limiters.items():
            for scope, buckets in limiter.scopes.items():
                self._refused.labels(operation, scope)
                tracked.labels(operation, scope).set_function(buckets.__len__)

    async def start(self) -> None:
        """Stand also behind all other extensions: only there it is known which user shakes hands."""
        self._server.add_extension(_UserHandshakes(self))

    def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        """See :meth:`Extension.incoming_meta`.

        Raises:
            RemoteError: 429 for too many subscriptions.
            Overloaded: For too many handshakes of an address.
        """
        if session is None:
            return
        if isinstance(message, Handshake):
            self.admit(session, "address")
        elif isinstance(message, Subscribe):
            scope = self._subscribe.refused_by(session, len(message.names), *_ALL)
            if scope is not None:
                self._refused.labels("subscribe", scope).inc()
                raise RemoteError(429, message.names[:1], "too_many_subscriptions")

    def incoming(self, session: ServerSession | None, message: Publish) -> None:
        """See :meth:`Extension.incoming`.

        Raises:
            RemoteError: 429 for too many publishes.
        """
        if session is None:
            return
        # Who publishes without a session has a stand-in of one message: its bucket would only push out others.
        scope = self._publish.refused_by(session, 1, *(_ALL if session.is_open else _ALL[1:]))
        if scope is not None:
            self._refused.labels("publish", scope).inc()
            raise RemoteError(429, [message.channel.name], "too_many_publishes")

    def admit(self, session: ServerSession, scope: str) -> None:
        """Let a handshake pass.

        Raises:
            Overloaded: If the scope has too few tokens.
        """
        if self._handshake.refused_by(session, 1, scope) is not None:
            self._refused.labels("handshake", scope).inc()
            raise Overloaded(f"too_many_handshakes_of_{scope}")


class _UserHandshakes(Extension):
    name = "rate_limit.user"

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit

    def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        if session is not None and isinstance(message, Handshake):
            self._limit.admit(session, "user")


def create(context: ExtensionContext) -> RateLimit:
    """Return the extension, configured by :class:`RateLimitSection`."""
    return RateLimit(context.server, context.read_config(RateLimitSection), context.registry)


_ALL: Final = ("session", "user", "address")
_IPV6_SITE_BITS: Final = 64


@lru_cache(maxsize=4_096)
def _place(address: str) -> str:
    """Return what counts as one address: of IPv6 the first half, for the other is its owner's to choose."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.IPv6Network((int(parsed) >> _IPV6_SITE_BITS << _IPV6_SITE_BITS, _IPV6_SITE_BITS)))

"""The server's Prometheus metrics. Labels have few values, known beforehand: never a channel, a session or a user."""

import asyncio
import itertools
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from bayeux_server.server.core import CONNECTION_TYPES
from bayeux_server.server.observer import Observer
from bayeux_server.server.registry import SessionRegistry
from bayeux_server.server.session import ServerSession
from bayeux_server.tallies import CounterTally, HistogramTally

_KINDS: Final = ("handshake", "connect", "subscribe", "unsubscribe", "publish", "disconnect", "malformed")
_CODES: Final = ("300", "301", "400", "401", "402", "403", "404", "405", "409", "413", "429", "500", "503")
#: Of :mod:`bayeux_server.server.handlers.handshake`, and of extensions: ``extensions/authentication/tokens.py``.
_HANDSHAKE_FAILURES: Final = (
    "unsupported_version",
    "no_common_connection_type",
    "handshake_denied",
    "server_error",
    "token_malformed",
    "token_algorithm_refused",
    "token_issuer_unknown",
    "token_key_unknown",
    "token_signature_invalid",
    "token_audience_wrong",
    "token_expired",
    "token_not_yet_valid",
    "token_claim_missing",
)
_ENDS: Final = (
    "disconnect",
    "expired",
    "queue_overflow",
    "kicked",
    "refused",
    "inactive",
    "token_expired",
    "unacknowledged",
    "replay_failed",
)
_LIMITS: Final = (
    "too_many_sessions",
    "too_many_sessions_of_address",
    "too_many_sessions_of_user",
    "too_many_sockets",
    "too_many_sockets_of_address",
    "too_many_handshakes_of_address",
    "too_many_handshakes_of_user",
    "token_keys_unavailable",
    "too_many_held_connects",
    "idle_socket",
    "write_timeout",
    "queue_overflow",
)
_UNREADABLE: Final = {False: "malformed", True: "too_big"}
_SECONDS: Final[tuple[float, ...]] = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_AUDIENCE: Final = (0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
LAG_INTERVAL_S: Final = 0.5


class Metrics(Observer):
    """Counts what the server does, in a registry."""

    def __init__(self, registry: CollectorRegistry, sessions: SessionRegistry) -> None:
        super().__init__()
        self.registry = registry
        self._sessions = sessions
        self._messages = CounterTally(
            "bayeux_messages", "Messages processed", ["kind"], [(kind,) for kind in _KINDS], registry=registry
        ).counts
        self._refused = CounterTally(
            "bayeux_refusals",
            "Messages refused",
            ["kind", "code"],
            itertools.product(_KINDS, (*_CODES, "other")),
            registry=registry,
        ).counts
        failures = Counter(
            "bayeux_handshake_failures_total", "Handshakes refused for good", ["reason"], registry=registry
        )
        self._handshake_failures = {reason: failures.labels(reason) for reason in (*_HANDSHAKE_FAILURES, "other")}
        self._publications = CounterTally("bayeux_publications", "Publications fanned out", registry=registry).counts
        self._deliveries = CounterTally("bayeux_deliveries", "Events queued for sessions", registry=registry).counts
        self._audience = HistogramTally(
            "bayeux_audience_sessions", "Sessions a publication reached", _AUDIENCE, registry=registry
        )
        self._held = Gauge("bayeux_held_connects", "Connects held now", registry=registry)
        self._held_now = 0
        ends = Counter("bayeux_session_ends_total", "Sessions ended", ["reason"], registry=registry)
        self._ends = {reason: ends.labels(reason) for reason in (*_ENDS, "other")}
        self._session_gauge = Gauge("bayeux_sessions", "Sessions now", ["transport"], registry=registry)
        self._queued = Gauge("bayeux_queued_messages", "Events waiting for sessions", registry=registry)
        self._queued_bytes = Gauge("bayeux_queued_bytes", "The same in bytes of JSON", registry=registry)
        self._dropped = Counter("bayeux_dropped_messages_total", "Events dropped at a queue limit", registry=registry)
        self._received = Counter(
            "bayeux_received_bytes_total", "Bytes of frames and bodies received", registry=registry
        )
        self._sent = Counter("bayeux_sent_bytes_total", "Bytes of frames and bodies sent", registry=registry)
        shed = Counter("bayeux_shed_total", "Requests, sessions and sockets shed", ["limit"], registry=registry)
        self._shed = {limit: shed.labels(limit) for limit in (*_LIMITS, "other")}
        unreadable = Counter("bayeux_unreadable_total", "Bodies and frames not read", ["reason"], registry=registry)
        self._unreadable = {too_big: unreadable.labels(reason) for too_big, reason in _UNREADABLE.items()}
        self._broker_gaps = Counter(
            "bayeux_broker_lost_publications_total", "Publications lost between nodes", registry=registry
        )
        self._lag = Histogram("bayeux_loop_lag_seconds", "Lateness of the loop", buckets=_SECONDS, registry=registry)
        self._request_seconds = HistogramTally(
            "bayeux_request_seconds", "Time to process a batch, without holding", _SECONDS, registry=registry
        )
        ProcessCollector(registry=registry)

    def broker_gap(self, lost: int | None) -> None:
        """Publications were lost between nodes; their number is not always known. See :attr:`Broker.on_gap`."""
        self._broker_gaps.inc(lost or 1)

    def message(self, kind: str, error: str | None) -> None:
        """See :meth:`Observer.message`."""
        self._messages[kind,] += 1
        if error is not None:
            code = error[:3]
            self._refused[kind, code if code in _CODES else "other"] += 1
            if kind == "handshake":
                reason = error.rpartition(":")[2]
                self._handshake_failures[reason if reason in _HANDSHAKE_FAILURES else "other"].inc()

    def delivered(self, deliveries: int) -> None:
        """See :meth:`Observer.delivered`."""
        self._publications[()] += 1
        self._deliveries[()] += deliveries
        self._audience.observe(deliveries)

    def session_removed(self, session: ServerSession, reason: str) -> None:
        """See :meth:`Observer.session_removed`."""
        self._ends[reason if reason in _ENDS else "other"].inc()

    def processed(self, seconds: float) -> None:
        """See :meth:`Observer.processed`."""
        self._request_seconds.observe(seconds)

    def dropped(self, events: int) -> None:
        """See :meth:`Observer.dropped`."""
        self._dropped.inc(events)

    def unreadable(self, *, too_big: bool) -> None:
        """See :meth:`Observer.unreadable`."""
        self._unreadable[too_big].inc()

    def shed(self, limit: str) -> None:
        """See :meth:`Observer.shed`."""
        self._shed[limit if limit in _LIMITS else "other"].inc()

    def held(self, change: int) -> None:
        """See :meth:`Observer.held`."""
        self._held_now += change

    def collect(self) -> None:
        """Bring the gauges that are counted at reading time up to date."""
        by_transport = dict.fromkeys(CONNECTION_TYPES, 0)
        queued = queued_bytes = 0
        for session in self._sessions:
            by_transport[session.transport] = by_transport.get(session.transport, 0) + 1
            queued += len(session.queue)
            queued_bytes += session.queued_bytes
        for transport, sessions in by_transport.items():
            self._session_gauge.labels(transport).set(sessions)
        self._received.inc(self.received_bytes)
        self._sent.inc(self.sent_bytes)
        self.received_bytes = self.sent_bytes = 0
        self._held.set(self._held_now)
        self._queued.set(queued)
        self._queued_bytes.set(queued_bytes)

    async def watch_loop(self) -> None:
        """Measure how late the event loop runs what is due, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LAG_INTERVAL_S
            await asyncio.sleep(LAG_INTERVAL_S)
            self._lag.observe(max(0.0, loop.time() - due_s))

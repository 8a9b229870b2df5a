"""The design's metrics, by its names. Labels have few values, known beforehand: never a task, a user or a channel."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.delivery import Delivery
from channels.policy import CARE_ROOTS
from channels.routes import ROUTES
from channels.tasks.conflict import Resolution
from extensions.presence.people import ROLES

_LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_OTHER: Final = "other"


class _Head(msgspec.Struct):
    """What is counted of an event."""

    type: str = ""
    timestamp: str = ""


class CareMetrics(Collector):
    """Counts conflicts and events, and looks at the sessions when it is read.

    Also a :class:`channels.services.caller.ConflictObserver`.
    """

    def __init__(self, registry: CollectorRegistry, server: BayeuxServer) -> None:
        self._server = server
        conflicts = Counter(
            "careapp_conflicts_detected_total",
            "Conflicts by how they were resolved; told counts each when somebody was told of it.",
            ["resolution"],
            registry=registry,
        )
        self._told = conflicts.labels("told")
        self._resolved = {each: conflicts.labels(each.value) for each in Resolution}
        published = Counter(
            "careapp_events_published_total", "Events published, once for each channel.", ["type"], registry=registry
        )
        delivered = Counter(
            "careapp_events_delivered_total", "Events handed to sessions' queues.", ["type"], registry=registry
        )
        self._published = {each: published.labels(each) for each in (*ROUTES, _OTHER)}
        self._delivered = {each: delivered.labels(each) for each in (*ROUTES, _OTHER)}
        self._latency = Histogram(
            "careapp_event_delivery_latency_seconds",
            "From an event's own time to its sessions' queues.",
            buckets=_LATENCY_S,
            registry=registry,
        )
        registry.register(self)
        server.core.on_delivered.append(self._count_delivered)

    def watch(self) -> None:
        """Begin to count what is published."""
        session = self._server.local_session("care-metrics")
        for root in sorted(CARE_ROOTS):
            session.subscribe(f"/{root}/**", self._count_published)

    def detected(self) -> None:
        """See :class:`ConflictObserver`."""
        self._told.inc()

    def resolved(self, resolution: Resolution) -> None:
        """See :class:`ConflictObserver`."""
        self._resolved[resolution].inc()

    def collect(self) -> Iterable[Metric]:
        """See :class:`Collector`: sessions by role, subscriptions by kind of channel."""
        connections = GaugeMetricFamily(
            "careapp_websocket_connections_active", "Sessions with a WebSocket.", labels=["user_role"]
        )
        by_role = dict.fromkeys((*ROLES, _OTHER), 0)
        for session in self._server.core.sessions:
            if session.transport == "websocket" and session.identity is not None:
                roles = session.identity.roles
                by_role[next((role for role in ROLES if role in roles), _OTHER)] += 1
        for role, sessions in by_role.items():
            connections.add_metric([role], sessions)
        subscriptions = GaugeMetricFamily(
            "careapp_websocket_subscriptions_total", "Subscriptions now, by kind of channel.", labels=["channel"]
        )
        by_root = dict.fromkeys((*sorted(CARE_ROOTS), _OTHER), 0)
        for channel in self._server.core.channels:
            root = channel.id.segments[0]
            by_root[root if root in by_root else _OTHER] += len(channel.subscribers)
        for root, count in by_root.items():
            subscriptions.add_metric([root], count)
        return [connections, subscriptions]

    def _count_published(self, publication: Publication) -> None:
        self._of(self._published, _head(publication.data).type).inc()

    def _count_delivered(self, delivery: Delivery, sessions: int) -> None:
        if not sessions or delivery.channel.segments[0] not in CARE_ROOTS:
            return
        head = _head(delivery.data)
        self._of(self._delivered, head.type).inc(sessions)
        try:
            happened_s = datetime.fromisoformat(head.timestamp).timestamp()
        except ValueError:
            return
        self._latency.observe(max(0.0, self._server.core.clock.wall() - happened_s))

    @staticmethod
    def _of(counters: Mapping[str, Counter], event_type: str) -> Counter:
        return counters.get(event_type) or counters[_OTHER]


def _head(data: bytes) -> _Head:
    try:
        return msgspec.json.decode(data, type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Head()

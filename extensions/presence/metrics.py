"""Presence in numbers. Labels have few values, known beforehand, unless the configuration asks for the task's id."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from channels.presence.events import PresenceEvent
from extensions.presence.extension import PresenceExtension
from extensions.presence.sessions import LocalSessions
from extensions.presence.teller import Teller

_ACTIVE_USERS = "careapp_presence_active_users"


class UsersByTask(Collector):
    """The design's gauge: people on each task. A series for each task that somebody of this node looks at now.

    Args:
        sessions: The present sessions of this node.
    """

    def __init__(self, sessions: LocalSessions) -> None:
        self._sessions = sessions

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """See :class:`Collector`. Several tabs of a person count once."""
        users_of: dict[str, set[str | None]] = {}
        for session, presence in self._sessions:
            for task_id in presence.states:
                users_of.setdefault(task_id, set()).add(session.user_id)
        family = GaugeMetricFamily(_ACTIVE_USERS, "People of this node on each task.", labels=["task_id"])
        for task_id, users in users_of.items():
            family.add_metric([task_id], len(users))
        return [family]


def count(registry: CollectorRegistry, extension: PresenceExtension, teller: Teller, *, by_task: bool) -> None:
    """Register what is counted.

    Args:
        registry: Where.
        extension: Its sessions, snapshots and refused locks are counted.
        teller: Its events are counted.
        by_task: Count people by task, instead of tasks by people.
    """
    told = Counter("careapp_presence_events_total", "Presence events told, by type.", ["type"], registry=registry)
    sessions = Gauge("careapp_presence_sessions", "Sessions of this node that were present.", registry=registry)
    conflicts = Counter(
        "careapp_presence_conflicts_detected_total", "Locks asked for while somebody else held them.", registry=registry
    )

    def tell(event: PresenceEvent) -> None:
        told.labels(str(event.__struct_config__.tag)).inc()

    teller.on_told.append(tell)
    extension.service.on_refused.append(conflicts.inc)
    sessions.set_function(lambda: len(extension.sessions))
    if by_task:
        registry.register(UsersByTask(extension.sessions))
        return
    sizes = Histogram(
        _ACTIVE_USERS,
        "People on a task, as found by each who opens it.",
        buckets=(0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1_000),
        registry=registry,
    )
    extension.service.on_snapshot.append(lambda snapshot: sizes.observe(snapshot.counts.total))

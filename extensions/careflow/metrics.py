"""The care flow's Prometheus metrics. Labels are types, topics and partitions: bounded, and never an id."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from extensions.careflow.ports import Progress

#: Why an event that arrived was not shown.
DROPS: Final = ("seen", "shown_before", "superseded")


class Meters:
    """Counts what flows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._consumed = Counter(
            "careapp_kafka_consumed_total", "Events that were read and shown, by type.", ["type"], registry=registry
        )
        dropped = Counter(
            "careapp_kafka_dropped_total", "Events not shown again, by reason.", ["reason"], registry=registry
        )
        self._dropped = {reason: dropped.labels(reason) for reason in DROPS}
        self._retries = Counter(
            "careapp_kafka_retries_total", "Deliveries tried again after a passing failure.", registry=registry
        )
        self._dead = Counter(
            "careapp_kafka_dead_letters_total",
            "Records that could not be used, by error.",
            ["error"],
            registry=registry,
        )
        self._produced = Counter("careapp_kafka_produced_total", "Events acknowledged by the bus.", registry=registry)
        self._failed = Counter(
            "careapp_kafka_send_failures_total", "Events not acknowledged in time, to be sent again.", registry=registry
        )
        self._not_connected = Counter(
            "careapp_kafka_connection_failures_total", "Connections to Kafka that could not be made.", registry=registry
        )

    def consumed(self, event_type: str) -> None:
        """An event was shown."""
        self._consumed.labels(event_type).inc()

    def dropped(self, reason: str) -> None:
        """An event was not shown again; ``reason`` is one of :data:`DROPS`."""
        self._dropped[reason].inc()

    def retried(self) -> None:
        """A delivery is tried again."""
        self._retries.inc()

    def dead(self, error: Exception) -> None:
        """A record became a dead letter."""
        self._dead.labels(type(error).__name__).inc()

    def produced(self) -> None:
        """The bus acknowledged an event."""
        self._produced.inc()

    def send_failed(self) -> None:
        """The bus did not acknowledge an event."""
        self._failed.inc()

    def not_connected(self) -> None:
        """A connection could not be made."""
        self._not_connected.inc()


class ProgressCollector(Collector):
    """Lag and oldest age of each partition, as they are when they are read.

    Args:
        progress: Where the partitions stand.
        wall: Seconds since 1970.
    """

    def __init__(self, progress: Callable[[], Sequence[Progress]], wall: Callable[[], float]) -> None:
        self._progress = progress
        self._wall = wall

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the two gauges; a partition this node does not read has none."""
        labels = ("topic", "partition")
        lag = GaugeMetricFamily("careapp_kafka_lag_records", "Records there and not delivered.", labels=labels)
        age = GaugeMetricFamily("careapp_kafka_oldest_age_seconds", "Age of the oldest of them.", labels=labels)
        now_s = self._wall()
        for each in self._progress():
            values = (each.partition.topic, str(each.partition.number))
            lag.add_metric(values, each.lag_records)
            age.add_metric(values, 0.0 if each.oldest_ms is None else max(0.0, now_s - each.oldest_ms / 1_000))
        return lag, age

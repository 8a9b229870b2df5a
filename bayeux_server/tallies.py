"""Prometheus metrics that the event loop alone counts.

prometheus-client's own take a lock for each step, for the sake of threads: two microseconds a publish that buy nothing
here. These are plain numbers, read when somebody asks for the metrics.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class CounterTally(Collector):
    """A counter, with a series for each combination of label values named beforehand.

    Attributes:
        counts: By label values; add to them.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        series: Iterable[tuple[str, ...]] = ((),),
        *,
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self.counts = dict.fromkeys(series, 0)
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """See :meth:`Collector.collect`."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, count in self.counts.items():
            family.add_metric(labels, count)
        yield family


class HistogramTally(Collector):
    """A histogram without labels.

    Args:
        bounds: Upper bounds of the buckets, rising; one without a bound is added.
    """

    def __init__(self, name: str, documentation: str, bounds: Sequence[float], *, registry: CollectorRegistry) -> None:
        self._name, self._documentation, self._bounds = name, documentation, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[Metric]:
        """See :meth:`Collector.collect`."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = list(zip(names, map(float, accumulate(self._counts)), strict=True))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum)

"""``/healthz``, ``/readyz`` and ``/metrics``."""

from collections.abc import Callable, Iterable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bayeux_server.metrics import Metrics


class Health(Collector):
    """Says whether the process lives, whether it can serve, and what it counts; what is missing is a metric too.

    Attributes:
        draining: Set when the server has been told to stop.
        checks: By name of the dependency: why it cannot work now, None if it can.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.draining = False
        self.checks: dict[str, Callable[[], str | None]] = {}
        self._metrics = metrics
        metrics.registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """See :class:`Collector`."""
        up = GaugeMetricFamily("bayeux_dependency_up", "Whether it can be worked with: 1 or 0", labels=["dependency"])
        for name, unready in self.checks.items():
            up.add_metric([name], float(unready() is None))
        return [up]

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [web.get("/healthz", self.healthz), web.get("/readyz", self.readyz), web.get("/metrics", self.metrics)]

    async def healthz(self, _request: web.Request) -> web.Response:
        """200 as long as the loop turns."""
        return web.json_response({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.Response:
        """200 if everything it needs is there, else 503 with what is missing."""
        missing = {name: reason for name, unready in self.checks.items() if (reason := unready()) is not None}
        if self.draining:
            missing["server"] = "stopping"
        status = "unready" if missing else "ready"
        return web.json_response({"status": status, "missing": missing}, status=503 if missing else 200)

    async def metrics(self, _request: web.Request) -> web.Response:
        """All metrics in Prometheus' text form."""
        self._metrics.collect()
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

"""The dashboard and the alert rules name only metrics that a server with every extension has, and the design's too."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Metric

from bayeux_server.app import BayeuxApp
from bayeux_server.settings import load

CONF = Path(__file__).parents[3] / "conf"
DASHBOARD = json.loads((CONF / "grafana" / "care.json").read_text())
ALERTS = yaml.safe_load((CONF / "alerts.yml").read_text())

_NAME = re.compile(r"\b(?:careapp|bayeux)_\w+")
#: Name of a metric, and a label with the values it is compared to.
_SELECTOR = re.compile(r"\b((?:careapp|bayeux)_\w+)\{([^}]*)\}")
_BY = re.compile(r"\bby \(([^)]*)\)")
#: Labels that the scraping Prometheus adds.
_OF_PROMETHEUS = {"instance", "job", "le"}

#: Section "Monitoring & Observability" of the design.
DESIGN = {
    "careapp_websocket_connections_active": "user_role",
    "careapp_websocket_subscriptions_total": "channel",
    "careapp_presence_active_users": None,
    "careapp_presence_conflicts_detected_total": None,
    "careapp_events_published_total": "type",
    "careapp_events_delivered_total": "type",
    "careapp_event_delivery_latency_seconds": None,
    "careapp_conflicts_detected_total": "resolution",
}


def registry_of(*overrides: str) -> CollectorRegistry:
    """The metrics of a server with every extension."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CARE_DEMO_SECRET", "a secret of thirty-two characters or more")
        every = [f"extensions.{name}.enabled=true" for name in load(CONF / "default.toml", environment={}).extensions]
        app = BayeuxApp(load(CONF / "default.toml", environment={}, overrides=[*every, *overrides]))
    app.metrics.collect()
    return app.registry


@pytest.fixture(scope="module")
def metrics() -> dict[str, Metric]:
    """By every name under which samples of them can be asked for."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    found = {}
    for metric in registry_of().collect():
        for suffix in suffixes[metric.type]:
            found[metric.name + suffix] = metric
    return found


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for group in ALERTS["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


class TestNames:
    def test_every_metric_exists(self, metrics: dict[str, Metric]) -> None:
        named = {name for expression in expressions() for name in _NAME.findall(expression)}
        assert len(named) > 30
        assert named - metrics.keys() == set()

    def test_every_metric_of_the_design_exists_and_is_on_the_dashboard(self, metrics: dict[str, Metric]) -> None:
        families = {metric.name for metric in metrics.values()}
        assert {name.removesuffix("_total") for name in DESIGN} - families <= {"careapp_websocket_subscriptions"}
        assert "careapp_websocket_subscriptions_total" in metrics
        shown = "\n".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ()))
        assert [name for name in DESIGN if name not in shown] == []

    def test_quantiles_come_from_histograms(self, metrics: dict[str, Metric]) -> None:
        assert metrics["careapp_event_delivery_latency_seconds_bucket"].type == "histogram"
        assert "careapp_presence_active_users_bucket" in metrics


class TestLabels:
    @pytest.mark.parametrize(("name", "label"), [(name, label) for name, label in DESIGN.items() if label])
    def test_the_design_s_label_is_there_with_values_known_beforehand(
        self, metrics: dict[str, Metric], name: str, label: str
    ) -> None:
        values = {sample.labels[label] for sample in metrics[name].samples if label in sample.labels}
        assert values
        assert len(values) < 50

    def test_resolutions_are_those_of_the_design(self, metrics: dict[str, Metric]) -> None:
        samples = metrics["careapp_conflicts_detected_total"].samples
        assert {"keep_mine", "keep_theirs", "merge"} <= {sample.labels["resolution"] for sample in samples}

    def test_no_metric_has_a_label_for_a_task_unless_that_is_asked_for(self, metrics: dict[str, Metric]) -> None:
        labels = {label for metric in metrics.values() for sample in metric.samples for label in sample.labels}
        assert labels.isdisjoint({"task_id", "user_id", "member_id", "session", "client_id"})

    def test_every_value_that_is_compared_to_occurs(self, metrics: dict[str, Metric]) -> None:
        missing = [
            (name, label, value)
            for expression in expressions()
            for name, selector in _SELECTOR.findall(expression)
            for label, operator, value in re.findall(r'(\w+)(=~?)"([^"]*)"', selector)
            if label not in _OF_PROMETHEUS
            and not any(
                re.fullmatch(value if operator == "=~" else re.escape(value), sample.labels.get(label, ""))
                for sample in metrics[name].samples
            )
        ]
        assert missing == []


class TestPresenceByTask:
    def test_it_is_the_design_s_gauge_where_it_is_switched_on(self) -> None:
        registry = registry_of("extensions.presence.metrics_by_task=true")
        (family,) = [metric for metric in registry.collect() if metric.name == "careapp_presence_active_users"]
        assert family.type == "gauge"
        assert family.samples == []


class TestFiles:
    def test_panels_have_ids_of_their_own_and_do_not_overlap(self) -> None:
        panels = DASHBOARD["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        cells = [
            (x, y)
            for panel in panels
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells))

    def test_every_alert_says_what_is_wrong_and_how_bad(self) -> None:
        rules: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
        assert len({rule["alert"] for rule in rules}) == len(rules)
        for rule in rules:
            assert rule["labels"]["severity"] in ("info", "warning", "critical")
            assert rule["annotations"]["summary"]

    def test_groupings_use_labels_that_the_metrics_have(self, metrics: dict[str, Metric]) -> None:
        known = {label for metric in metrics.values() for label in (metric.samples[0].labels if metric.samples else ())}
        # Without partitions and letters yet, these have no samples.
        known |= _OF_PROMETHEUS | {"topic", "partition", "error", "reason", "operation"}
        asked = {
            label.strip() for expression in expressions() for by in _BY.findall(expression) for label in by.split(",")
        }
        assert asked - known == set()

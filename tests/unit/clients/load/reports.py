"""Reports for the tests of what reads them."""

from typing import Any

from clients.load.latency import histogram
from clients.load.ledger import Count
from clients.load.plan import Plan, Scenario
from clients.load.report import HarnessUse, Report, Second, ServerUse, Sessions


def report(**changes: Any) -> Report:
    """Return a valid report of a fan-out, with ``changes``."""
    fields: dict[str, Any] = {
        "started": "2026-01-01T00:00:00+00:00",
        "command": "bayeux load fan-out",
        "machine": "2 cores",
        "plan": Plan("http://127.0.0.1:1/bayeux", Scenario.FAN_OUT),
        "work": "deliveries",
        "asked_per_s": 1_000.0,
        "per_s": 1_000.0,
        "sent": 100,
        "accepted": 100,
        "count": Count(expected=1_000, received=1_000),
        "slow_count": Count(),
        "malformed": 0,
        "foreign": 0,
        "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "p99_9": 4.0, "max": 5.0},
        "histogram": histogram([{100: 900, 200: 100}]).encode().decode(),
        "seconds": [Second(0, 1_000, 1.0, 3.0, 5.0), Second(1, 1_000, 1.0, 3.0, 5.0)],
        "sessions": Sessions(504, {}, {"HTTP <503>": 2}, {}),
        "server": ServerUse(0.5, 0.25, 80.0, 60.0, 70.0, 4_000.0, 250.0),
        "harness": HarnessUse(0.1, 0.2, 100.0, 0.5, 0.1),
        "valid": True,
        "reasons": [],
        "notes": [],
    }
    return Report(**(fields | changes))

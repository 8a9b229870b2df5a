"""What every test gets: the real services as fixtures, and a marker for each one it uses."""

import pytest

pytest_plugins = ("tests.support.services.fixtures",)

# Fixture -> marker, so that a run can leave out what is slow (`make test-fast`) without tests having to say so twice.
_MARKERS = {
    "chromium": "browser",
    "kafka_broker": "kafka",
    "redis_server": "redis",
    "postgres_server": "postgres",
    "spicedb_server": "spicedb",
    "nginx": "nginx",
    "node_js": "node",
}
# Services too heavy to start in each worker of a parallel run: their tests share one worker.
_HEAVY = {"chromium", "kafka_broker", "postgres_server", "spicedb_server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the services it uses."""
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        for fixture in sorted(used & _MARKERS.keys()):
            item.add_marker(_MARKERS[fixture])
        if used & _HEAVY:
            item.add_marker(pytest.mark.xdist_group("heavy"))

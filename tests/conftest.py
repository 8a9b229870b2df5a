"""What every test gets: the real services as fixtures, and a marker for each one it uses."""

from collections.abc import Callable

import pytest

from tests.support.services import chromium, nginx, node, postgres, redis, spicedb

# Their assertions then say what they saw.
pytest.register_assert_rewrite("tests.conformance", "tests.support.client")

pytest_plugins = ("tests.support.services.fixtures",)


def _install_kafka() -> object:
    # Its client takes a second to import, which a run of unit tests alone should not wait for.
    from tests.support.services import kafka

    return kafka.install()


# Fixture -> its marker, so that a run can leave out what is slow (`make test-fast`) without tests having to say so
# twice, and what installs the service.
_SERVICES: dict[str, tuple[str, Callable[[], object]]] = {
    "chromium": ("browser", chromium.install),
    "kafka_broker": ("kafka", _install_kafka),
    "redis_server": ("redis", redis.install),
    "postgres_server": ("postgres", postgres.install),
    "spicedb_server": ("spicedb", spicedb.install),
    "nginx": ("nginx", nginx.install),
    "node_js": ("node", node.install),
}
# Services too heavy to start in each worker of a parallel run: their tests share one worker.
_HEAVY = {"chromium", "kafka_broker", "postgres_server", "spicedb_server"}


def _services_of(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ())) & _SERVICES.keys()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the services it uses."""
    for item in items:
        used = _services_of(item)
        for fixture in sorted(used):
            item.add_marker(_SERVICES[fixture][0])
        if used & _HEAVY:
            item.add_marker(pytest.mark.xdist_group("heavy"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install what the chosen tests need before the first one runs: no test's time limit counts an install."""
    if session.config.option.collectonly:
        return
    for fixture in sorted(set().union(*map(_services_of, session.items))):
        _SERVICES[fixture][1]()

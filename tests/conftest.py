"""What every test gets: the real services as fixtures, and a marker for each one it uses."""

import functools
import gc
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoints, entry_points

import pytest
import structlog
from hypothesis import settings

from tests.support.examples import examples
from tests.support.services import chromium, nginx, node, postgres, redis, spicedb

# The same examples on every run, and no opinion on how fast a machine is that does other things meanwhile.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=examples(100))
settings.load_profile("suite")

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
    "kafka_server": ("kafka", _install_kafka),
    "redis_server": ("redis", redis.install),
    "postgres_server": ("postgres", postgres.install),
    "spicedb_server": ("spicedb", spicedb.install),
    "nginx": ("nginx", nginx.install),
    "node_js": ("node", node.install),
}
# A fixture's parameter that stands for services, which the fixture asks for when it runs.
_BY_PARAMETER = {
    "redis": {"redis_server"},
    "services": {"redis_server", "kafka_server", "postgres_server", "spicedb_server"},
}
# What stands on the server, by where its tests are, so that the server's own can run without (`make test-server`).
_UPPER_LAYERS = {
    "care": (
        "unit/channels/",
        *(f"unit/extensions/{name}/" for name in ("audit", "authorization", "care", "features", "presence")),
        "unit/extensions/test_demo_login",
        *(f"contracts/test_{name}" for name in ("event_buses", "permission", "postgres", "presence", "sqlite", "task")),
        *(f"properties/test_{name}" for name in ("care", "fencing", "hidden", "locks", "merge", "no_hidden")),
        *(f"properties/test_{name}" for name in ("permission", "presence", "redaction", "snapshot", "tasks")),
        *(f"scenarios/test_{name}" for name in ("care", "features", "revocation", "stop", "story")),
        "fault/",
    ),
    "load": ("unit/clients/load/", "unit/benchmarks/", "interop/test_load"),
}
# Services too heavy to start in each worker of a parallel run: their tests share one worker.
_HEAVY = {"chromium", "kafka_server", "postgres_server", "spicedb_server"}


def pytest_configure() -> None:
    """Log exceptions in plain words: drawing one with all it passed takes a quarter of a second."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


def _services_of(item: pytest.Item) -> set[str]:
    asked = set(getattr(item, "fixturenames", ()))
    if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        parameters = item.callspec.params.values()
        asked |= set().union(*(_BY_PARAMETER.get(value, ()) for value in parameters if isinstance(value, str)))
    return asked & _SERVICES.keys()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the services it uses, and with the layer it belongs to if that is not the server."""
    for item in items:
        place = item.nodeid.removeprefix("tests/")
        for layer, places in _UPPER_LAYERS.items():
            if place.startswith(places):
                item.add_marker(layer)
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
    # What is there now stays to the end: thousands of collected tests that no collection of garbage need look at.
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def installed_is_read_once() -> Iterator[None]:
    """Read what is installed once for each path, not for each of a thousand servers: it takes 10 ms."""

    @functools.cache
    def read(_path: tuple[str, ...], group: str) -> EntryPoints:
        return entry_points(group=group)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bayeux_server.app.entry_points", lambda group: read(tuple(sys.path), group))
        yield

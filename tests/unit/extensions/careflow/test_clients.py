"""Clients that cannot be made leave nothing behind."""

import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from extensions.careflow.clients import connect
from tests.support.services.service import free_port

every_kind = pytest.mark.parametrize("kind", [KafkaConsumer, KafkaProducer, KafkaAdminClient])


@pytest.fixture
def hanging() -> Iterator[int]:
    """The port of a broker that accepts connections and then says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def left_over() -> tuple[int, int]:
    """Threads and open files of this process."""
    gc.collect()
    return threading.active_count(), len(list(Path("/dev/fd").iterdir()))


def fail_to_connect(kind: type, port: int) -> None:
    with pytest.raises(KafkaError):
        connect(kind, {"bootstrap_servers": [f"127.0.0.1:{port}"], "bootstrap_timeout_ms": 100})


class TestConnect:
    @every_kind
    def test_tries_at_a_broker_that_hangs_pile_nothing_up(self, kind: type, hanging: int) -> None:
        before = left_over()
        for _ in range(3):
            fail_to_connect(kind, hanging)
        assert left_over() == before

    @every_kind
    def test_nobody_is_waited_for_where_nobody_listens(self, kind: type) -> None:
        threads = threading.active_count()
        with pytest.raises(KafkaError, match="no broker accepts connections"):
            connect(kind, {"bootstrap_servers": [f"127.0.0.1:{free_port()}"]})
        assert threading.active_count() == threads

"""What of kafka-python's log is written down."""

import logging
import ssl
from collections.abc import Iterator

import pytest
from kafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    NodeNotReadyError,
    SaslAuthenticationFailedError,
)
from prometheus_client import CollectorRegistry

from extensions.careflow.connection_log import ConnectionLog
from extensions.careflow.metrics import Meters

AWAY = KafkaConnectionError(ConnectionRefusedError())


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(autouse=True)
def connection_log(registry: CollectorRegistry) -> Iterator[ConnectionLog]:
    log = ConnectionLog(Meters(registry))
    log.install()
    yield log
    log.remove()


def say(logger: str, text: str, *values: object) -> None:
    logging.getLogger(f"kafka.{logger}").error(text, *values)


def failures(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("careapp_kafka_connection_failures_total")


def test_a_broker_out_of_reach_is_counted_and_not_written_down(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        say("net.manager", "Connection failed: %s", AWAY)
        say("net.connection", "%s: Connection lost: %s", "<conn>", AWAY)
        say("cluster", "No node available for metadata refresh - backoff/retry")
        say("coordinator", "Error sending %s to node %s [%s]", "HeartbeatRequest", 0, NodeNotReadyError())
        say("consumer.fetcher", "Fetch to node %s failed: %s", 0, AWAY)
    assert caplog.records == []
    assert failures(registry) == 3


@pytest.mark.parametrize(
    ("logger", "text", "values"),
    [
        ("net.manager", "Connection failed: %s", [SaslAuthenticationFailedError()]),
        ("net.manager", "Connection failed: %s", [ssl.SSLCertVerificationError()]),
        ("net.manager", "Connection failed: %s", [KafkaConnectionError(ssl.SSLCertVerificationError())]),
        ("net.manager", "Connection failed: %s", [ZeroDivisionError()]),
        ("coordinator", "Group Coordinator Request failed: %s", [GroupAuthorizationFailedError()]),
        ("coordinator.consumer", "Offset commit failed: %s", [AWAY]),
        ("producer.sender", "%s: Aborting producer batches due to fatal error: %s", ["<sender>", AWAY]),
    ],
)
def test_everything_else_is_written_down(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture, logger: str, text: str, values: list[object]
) -> None:
    say(logger, text, *values)
    assert [record.msg for record in caplog.records] == [text]
    assert failures(registry) == 0


def test_when_it_is_over_nothing_is_held_back(connection_log: ConnectionLog, caplog: pytest.LogCaptureFixture) -> None:
    connection_log.remove()
    say("net.manager", "Connection failed: %s", AWAY)
    assert len(caplog.records) == 1

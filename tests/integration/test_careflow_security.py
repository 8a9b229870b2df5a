"""A broker that asks who we are, over TLS: SASL_SSL, with each mechanism, and what happens to who is not let in."""

import gc
import threading
from collections.abc import Iterator
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from bayeux_server.server.clock import SystemClock
from extensions.careflow.commands import dead_letters
from extensions.careflow.config import CareflowConfig, Security
from extensions.careflow.kafka_bus import KafkaBus
from extensions.careflow.metrics import Meters
from tests.contracts.event_bus import Recorder, eventually, refuse
from tests.support.careflow import kafka_config
from tests.support.production import as_toml
from tests.support.services.kafka_secure import USER

if TYPE_CHECKING:
    from tests.support.services.kafka_secure import SecureKafka

# kafka-python 3.0.12 leaves the TLS connections of a client that is closed to the garbage collector.
pytestmark = [pytest.mark.kafka, pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have them collected within the test whose they are."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def broker() -> "Iterator[SecureKafka]":
    from tests.support.services.kafka_secure import SecureKafka

    with SecureKafka() as broker:
        yield broker


def secure_config(broker: "SecureKafka", mechanism: str = "PLAIN", **security: Any) -> CareflowConfig:
    """The care flow as this user of the broker; ``security`` over what is right."""
    right = {
        "protocol": "SASL_SSL",
        "sasl_mechanism": mechanism,
        "sasl_username": USER,
        "sasl_password": broker.password,
        "ca_file": str(broker.ca_file),
    }
    return kafka_config(broker.secure_servers, f"t{token_hex(6)}", security=Security(**{**right, **security}))


def bus_of(config: CareflowConfig) -> KafkaBus:
    return KafkaBus(config, SystemClock(), Meters(CollectorRegistry()), topics=[config.topic_of("task.updated")])


class TestSaslOverTls:
    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
    async def test_events_go_both_ways_and_dead_letters_are_told_and_listed(
        self, broker: "SecureKafka", mechanism: str
    ) -> None:
        config = secure_config(broker, mechanism)
        recorder = Recorder()
        recorder.rule = refuse(b"bad")
        bus = bus_of(config)
        await bus.start(recorder.handle)
        for value in (b"bad", b"good"):
            await bus.send(config.topic_of("task.updated"), "task_1", value)
        assert await recorder.values(1) == [b"good"]
        assert bus.unready() is None
        [letter] = await bus.dead_letters.list()
        await bus.stop()

        section = f"extensions.careflow={as_toml(msgspec.to_builtins(config))}"
        result = CliRunner().invoke(dead_letters, ["list", "--set", section])
        assert result.exit_code == 0, result.output
        assert letter.id in result.output

    @pytest.mark.parametrize(
        "security",
        [{"sasl_password": "wrong"}, {"sasl_username": "nobody"}, {"ca_file": None}],
        ids=["password", "user", "certificate"],
    )
    async def test_who_is_not_let_in_says_so_and_piles_nothing_up(
        self, broker: "SecureKafka", security: dict[str, Any]
    ) -> None:
        bus = bus_of(secure_config(broker, **security))
        with capture_logs() as entries:
            await bus.start(Recorder().handle)

            async def has_failed_again() -> bool:
                return any(entry["event"] == "careflow.consumer_failed" and entry["failures"] > 1 for entry in entries)

            await eventually(has_failed_again)
            assert bus.unready() is not None
            await bus.stop()
        assert [thread for thread in threading.enumerate() if thread.name.startswith("kafka-io")] == []

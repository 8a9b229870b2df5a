"""Both buses under their contract."""

from secrets import token_hex
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from bayeux_server.server.clock import SystemClock
from extensions.careflow.backoff import Backoff
from extensions.careflow.memory_bus import MemoryBus
from extensions.careflow.metrics import Meters
from extensions.careflow.ports import EventBus
from tests.contracts.event_bus import EventBusContract
from tests.support.careflow import kafka_config

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka


class TestMemoryBus(EventBusContract):
    @pytest.fixture
    def topic(self) -> str:
        return "careflow.task.updated"

    @pytest.fixture
    def bus(self) -> EventBus:
        meters = Meters(CollectorRegistry())
        return MemoryBus(SystemClock(), Backoff(0.001, 0.002), meters, high_water_records=1_000, send_timeout_s=30.0)


class TestKafkaBus(EventBusContract):
    @pytest.fixture
    def world(self) -> str:
        return f"t{token_hex(6)}"

    @pytest.fixture
    def topic(self, world: str) -> str:
        return f"{world}.task.updated"

    @pytest.fixture
    def bus(self, world: str, topic: str, kafka_broker: "Kafka") -> EventBus:
        from extensions.careflow.kafka_bus import KafkaBus

        config = kafka_config(kafka_broker.bootstrap_servers, world)
        return KafkaBus(config, SystemClock(), Meters(CollectorRegistry()), topics=[topic])

"""The broker stops or is killed, and comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from extensions.careflow.config import CareflowConfig
from tests.contracts.event_bus import eventually
from tests.support.care_world import SARAH
from tests.support.careflow import kafka_config, produce, task_updated, written
from tests.support.desk import Desk
from tests.support.production import Production, found_clinic_at, fresh_token
from tests.support.screens import Screen, python_screen

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka


@pytest.fixture
def broker() -> "Iterator[Kafka]":
    """A broker of this test's own, to be stopped."""
    from tests.support.services.kafka import Kafka

    with Kafka() as broker:
        yield broker


#: What kafka-python logs again and again about a broker that is away.
COMPLAINTS = {
    "Connection failed: %s",
    "%s: Connection lost: %s",
    "No node available for metadata refresh - backoff/retry",
}


class Ward:
    """A server in production, a coordinator, and somebody who looks on.

    Attributes:
        ours: A task that is changed over HTTP.
        theirs: A task that another service changes by Kafka.
    """

    def __init__(self, server: Production, config: CareflowConfig, desk: Desk) -> None:
        self.server = server
        self.desk = desk
        self.ours = self.theirs = ""
        self._config = config

    async def open(self) -> None:
        """Create the tasks."""
        self.ours, self.theirs = await self.desk.create(), await self.desk.create()

    async def another_service_tells(self, version: int) -> None:
        """Write an event of another service; returns when the broker has it."""
        event = task_updated(version, task_id=self.theirs, task={"id": self.theirs})
        await asyncio.to_thread(produce, self._config, self._config.topic_of("task.updated"), self.theirs, event)

    async def is_ready(self, ready: bool) -> None:
        """Wait until the server says that it is ready, or that it is not for want of Kafka."""

        async def says_so() -> bool:
            reason = await self.desk.unready()
            return reason is None if ready else reason is not None and "kafka" in reason

        await eventually(says_so)

    async def other_services_hear(self, versions: list[int]) -> None:
        """Wait until Kafka has these versions of our task, in this order and no others."""
        count = len(versions)
        events = await asyncio.to_thread(written, self._config, self._config.topic_of("task.updated"), self.ours, count)
        assert [event["version"] for event in events] == versions

    async def shows(self, screen: Screen, task_id: str, version: int) -> None:
        """Wait until a task was shown up to a version, in order and without a hole."""
        channel = f"/task/{task_id}"
        await screen.until(lambda: len(screen.events(channel)) >= version)
        assert screen.versions(channel) == list(range(1, version + 1))

    def log(self) -> list[str]:
        """Return the events that the server logged."""
        return [json.loads(line)["event"] for line in self.server.log.read_text().splitlines() if line.startswith("{")]

    @asynccontextmanager
    async def screen(self) -> AsyncIterator[Screen]:
        """Somebody looks at both tasks."""
        channels = [f"/task/{self.ours}", f"/task/{self.theirs}"]
        async with python_screen(self.server.url, fresh_token(SARAH), channels) as screen:
            yield screen


@pytest.fixture
async def ward(tmp_path: Path, broker: "Kafka", redis_url: str, postgres_dsn: str) -> AsyncIterator[Ward]:
    await found_clinic_at(postgres_dsn)
    config = kafka_config(broker.bootstrap_servers, "outage", session_timeout_ms=1_000, send_timeout_ms=2_000)
    server = Production(tmp_path, store_url=postgres_dsn, redis_url=redis_url, careflow=config)
    with server:
        async with Desk(server, SARAH) as desk:
            ward = Ward(server, config, desk)
            await ward.open()
            yield ward


@pytest.mark.kafka
class TestOutage:
    @pytest.mark.parametrize("end", ["stop", "kill"])
    async def test_changes_are_shown_meanwhile_and_sent_afterwards(self, broker: "Kafka", ward: Ward, end: str) -> None:
        async with ward.screen() as screen:
            await ward.another_service_tells(2)
            await ward.shows(screen, ward.theirs, 2)
            await asyncio.to_thread(getattr(broker, end))

            await ward.desk.change_often(ward.ours, range(1, 6))
            await ward.shows(screen, ward.ours, 6)
            await ward.is_ready(False)

            # In this thread: the kernel ends a service together with the thread that started it.
            broker.start()
            await ward.is_ready(True)
            await ward.other_services_hear([2, 3, 4, 5, 6])
            await ward.another_service_tells(3)
            await ward.shows(screen, ward.theirs, 3)
            assert screen.contradictions == []
            log = ward.log()
            assert "careflow.kafka_reached" in log[log.index("careflow.kafka_lost") :]
            assert COMPLAINTS.isdisjoint(log)

    async def test_a_server_that_is_killed_meanwhile_starts_without_its_broker_and_loses_nothing(
        self, broker: "Kafka", ward: Ward
    ) -> None:
        async with ward.screen() as screen:
            await ward.another_service_tells(2)
            await ward.shows(screen, ward.theirs, 2)
            await asyncio.to_thread(broker.stop)
            await ward.desk.change_often(ward.ours, range(1, 4))

            ward.server.kill()
            ward.server.start()
            await ward.desk.back()
            await ward.desk.change_often(ward.ours, range(4, 6))
            await ward.shows(screen, ward.ours, 6)

            broker.start()
            await ward.is_ready(True)
            await ward.other_services_hear([2, 3, 4, 5, 6])
            await ward.another_service_tells(3)
            await ward.shows(screen, ward.theirs, 3)
            assert screen.contradictions == []

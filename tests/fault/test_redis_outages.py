"""Redis is killed and comes back as it was, or empty, or it hangs; under a server in production."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from clients.python import BayeuxClient, Event, Gap
from clients.python.errors import CallFailedError
from extensions.audit.segments import verify
from extensions.careflow.config import CareflowConfig
from tests.contracts.event_bus import eventually
from tests.support.care_world import EAST, MIKE, SARAH
from tests.support.careflow import kafka_config, produce, task_updated, written
from tests.support.desk import Desk
from tests.support.production import NODE, Production, bearer, found_clinic_at, fresh_token
from tests.support.screens import Screen, python_screen
from tests.support.services.redis import Redis

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka

#: What needs Redis, as readiness and the metric name it.
NEEDS_REDIS = frozenset({"broker", "history", "presence"})


class Ward:
    """A server in production, and a coordinator at a desk.

    Attributes:
        task: A task that she changes.
    """

    def __init__(self, server: Production, careflow: CareflowConfig, desk: Desk, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.desk = desk
        self.task = ""
        self._careflow = careflow
        self._http = http

    async def misses(self, names: frozenset[str]) -> None:
        """Wait until readiness and the metric say that these are away, and no others."""

        async def say_so() -> bool:
            async with self._http.get("/readyz") as response:
                missing = (await response.json())["missing"].keys()
                assert (response.status == 503) == bool(missing)
            return bool(missing == names == await self._down())

        await eventually(say_so)

    async def _down(self) -> set[str]:
        async with self._http.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        return {
            line.split('"')[1] for line in lines if line.startswith("bayeux_dependency_up{") and line.endswith(" 0.0")
        }

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Send one request as the coordinator."""
        async with self._http.request(method, path, json=body, headers=bearer(SARAH) | headers) as response:
            assert (response.status == 503) == ("Retry-After" in response.headers)
            return response.status, await response.json()

    async def change(self, version: int) -> int:
        """Try to change the task once, and return what became of it; the key is that of :meth:`Desk.change`."""
        body = {"version": version, "changes": {"notes": f"after {version}"}}
        status, _ = await self.ask(
            "PATCH", f"/api/tasks/{self.task}", body, **{"Idempotency-Key": f"{self.task}-{version}"}
        )
        return status

    async def another_service_tells(self, version: int) -> None:
        """Write an event of another service about the task; returns when Kafka has it."""
        event = task_updated(version, task_id=self.task, task={"id": self.task})
        await asyncio.to_thread(produce, self._careflow, self._careflow.topic_of("task.updated"), self.task, event)

    async def other_services_hear(self, task_id: str, event_type: str, versions: list[int]) -> None:
        """Wait until Kafka has these versions of a task, in this order and no others."""
        topic = self._careflow.topic_of(event_type)
        events = await asyncio.to_thread(written, self._careflow, topic, task_id, len(versions))
        assert [event["version"] for event in events] == versions


class Colleague:
    """Somebody who edits the task, on a page that stays open.

    Attributes:
        present: Types of what was told of who is there, snapshots apart.
        gaps: Channels on which something may be missing.
        states: What became of the page's session.
    """

    def __init__(self, client: BayeuxClient, task_id: str) -> None:
        self.client = client
        self.present: list[str] = []
        self.gaps: list[str] = []
        self.states: list[object] = []
        self._task_id = task_id

    async def open(self) -> None:
        """Open the page and begin to edit."""
        self.client.on_gap.append(self._missed)
        await self.client.subscribe(f"/task/{self._task_id}/presence", self._told)
        await self.tell("presence.user_joined", state="editing")
        await eventually(self._is_told)
        self.client.on_state.append(self.states.append)

    async def tell(self, kind: str, **fields: str) -> None:
        """Send a message about presence or locks."""
        await self.client.call("/service/presence", {"type": kind, "task_id": self._task_id, **fields})

    async def is_told_again(self) -> bool:
        """Whether everybody was told once more that he is there."""
        return self.present == ["presence.user_joined"] * 2

    async def _is_told(self) -> bool:
        return self.present == ["presence.user_joined"]

    def _told(self, event: Event) -> None:
        if event.data["type"] != "presence.snapshot":
            self.present.append(event.data["type"])

    def _missed(self, gap: Gap) -> None:
        self.gaps.append(gap.channel)


@pytest.fixture
def append_only() -> bool:
    """Whether Redis keeps its data."""
    return True


@pytest.fixture
def redis(append_only: bool) -> Iterator[Redis]:
    """A Redis of this test's own, to be killed."""
    with Redis(append_only=append_only) as redis:
        yield redis


@pytest.fixture
async def ward(tmp_path: Path, redis: Redis, kafka_broker: "Kafka", postgres_dsn: str) -> AsyncIterator[Ward]:
    await found_clinic_at(postgres_dsn)
    careflow = kafka_config(kafka_broker.bootstrap_servers, f"t{token_hex(6)}", session_timeout_ms=1_000)
    with Production(tmp_path, store_url=postgres_dsn, redis_url=redis.url, careflow=careflow) as server:
        async with Desk(server, SARAH) as desk, aiohttp.ClientSession(server.base) as http:
            ward = Ward(server, careflow, desk, http)
            ward.task = await desk.create()
            yield ward


@asynccontextmanager
async def colleague(ward: Ward) -> AsyncIterator[Colleague]:
    """Mike edits the task."""
    async with BayeuxClient(ward.server.url, token=fresh_token(MIKE)) as client:
        colleague = Colleague(client, ward.task)
        await colleague.open()
        yield colleague


@pytest.mark.redis
class TestKilled:
    async def test_what_needs_no_redis_goes_on_and_the_rest_is_refused_for_now(self, ward: Ward, redis: Redis) -> None:
        async with colleague(ward) as mike:
            redis.kill()
            await ward.misses(NEEDS_REDIS)

            assert (await ward.ask("GET", f"/api/tasks/{ward.task}"))[0] == 200
            assert (await mike.client.call("/service/task/get", {"task_id": ward.task}))["version"] == 1
            created = await ward.desk.create()
            assert await ward.change(1) == 503
            for kind, fields in (("presence.heartbeat", {}), ("lock.acquire", {"field_name": "notes"})):
                with pytest.raises(CallFailedError, match="503:/service/presence:presence_unavailable"):
                    await mike.tell(kind, **fields)
            await ward.another_service_tells(2)
            # Who subscribes now is told of version 1, which only Redis has, when it is back.
            channels = {f"/task/{created}": [1], f"/task/{ward.task}": [1, 2]}
            async with python_screen(ward.server.url, fresh_token(SARAH), channels) as late:
                redis.start()
                await ward.misses(frozenset())
                await late.until(lambda: all(late.versions(name) == shown for name, shown in channels.items()))
            await ward.other_services_hear(created, "task.created", [1])
            assert mike.states == []

    async def test_a_server_that_is_stopped_meanwhile_ends_in_order_and_shows_later_what_it_took(
        self, ward: Ward, redis: Redis, tmp_path: Path
    ) -> None:
        async with colleague(ward):
            redis.kill()
            created = await ward.desk.create()
            os.kill(ward.server.pid, signal.SIGTERM)
            assert await asyncio.to_thread(ward.server.wait, 30.0) == 0
        assert verify(tmp_path / "audit" / NODE, None).broken is None
        redis.start()
        ward.server.start()
        async with python_screen(ward.server.url, fresh_token(SARAH), [f"/task/{created}"]) as screen:
            await screen.until(partial(shows, screen, f"/task/{created}", 1))
        await ward.other_services_hear(created, "task.created", [1])

    async def test_nothing_acknowledged_is_lost_or_shown_twice(self, ward: Ward, redis: Redis) -> None:
        channel, feed = f"/task/{ward.task}", f"/activity_feed/{EAST}"
        async with (
            python_screen(ward.server.url, fresh_token(SARAH), [channel, feed]) as screen,
            colleague(ward) as mike,
        ):
            version = 1
            for _ in range(2):
                enough = asyncio.Event()
                changing = asyncio.create_task(change_until(enough, ward, version))
                await screen.until(partial(shows, screen, channel, version + 1))
                redis.kill()
                await ward.misses(NEEDS_REDIS)
                redis.start()
                await ward.misses(frozenset())
                enough.set()
                version = await changing
                await screen.until(partial(shows, screen, channel, version))
                assert screen.versions(channel) == list(range(1, version + 1))
            await screen.until(partial(shows, screen, feed, version))
            assert len(screen.events(feed)) == version
            assert screen.contradictions == []
            await ward.other_services_hear(ward.task, "task.updated", list(range(2, version + 1)))
            assert mike.present == ["presence.user_joined"]
            assert (mike.gaps, mike.states) == ([], [])


def shows(screen: Screen, channel: str, events: int) -> bool:
    """Whether a screen shows so many events of a channel, or more."""
    return len(screen.events(channel)) >= events


async def change_until(enough: asyncio.Event, ward: Ward, version: int) -> int:
    """Change the task, each time until it is acknowledged; return the version it has in the end."""
    while not enough.is_set():
        status = await ward.change(version)
        assert status in {200, 503}
        version += status == 200
    return version


@pytest.mark.redis
class TestForgetful:
    @pytest.fixture
    def append_only(self) -> bool:
        return False

    async def test_a_redis_that_comes_back_empty_is_filled_again_and_what_is_lost_is_announced(
        self, ward: Ward, redis: Redis
    ) -> None:
        channel = f"/task/{ward.task}"
        async with (
            python_screen(ward.server.url, fresh_token(SARAH), [channel]) as screen,
            colleague(ward) as mike,
            BayeuxClient(ward.server.url, token=fresh_token(MIKE)) as page,
        ):
            seen: list[Event] = []
            await page.subscribe(channel, seen.append)
            await ward.desk.change(ward.task, 1)
            await screen.until(lambda: len(screen.events(channel)) == 2)
            redis.kill()
            await ward.misses(NEEDS_REDIS)
            redis.start()
            await ward.misses(frozenset())

            await ward.desk.change_often(ward.task, range(2, 4))
            await screen.until(lambda: len(screen.events(channel)) == 4)
            assert screen.versions(channel) == [1, 2, 3, 4]

            async def announced() -> bool:
                told = [event for event in seen if event.data["type"] == "task.updated"]
                return [bool((event.ext or {})["replay"].get("gap")) for event in told] == [False, True, False]

            await eventually(announced)
            await eventually(mike.is_told_again)


@pytest.mark.redis
class TestHanging:
    async def test_a_redis_that_hangs_keeps_nobody_waiting_for_ever(self, ward: Ward, redis: Redis) -> None:
        async with colleague(ward) as mike:
            redis.suspend()
            assert await ward.change(1) == 503
            with pytest.raises(CallFailedError, match="503:"):
                await mike.tell("presence.heartbeat")
            await ward.misses(NEEDS_REDIS)
            redis.resume()
            await ward.misses(frozenset())
            await ward.desk.change(ward.task, 1)
            assert mike.states == []

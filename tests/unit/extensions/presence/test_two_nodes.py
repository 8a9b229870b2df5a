"""Two nodes on one Redis: what one begins, the other ends, and what one could not tell, the other tells."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from channels.presence.messages import AcquireLock, Join
from channels.presence.model import Person
from extensions.presence.backends.redis import RedisLockStore, RedisPresenceStore
from extensions.presence.service import PresenceService, Visitor
from extensions.presence.teller import Teller

SARAH = Visitor("s1", Person("cc_456", "Sarah Johnson", "care_coordinator"))
MIKE = Visitor("m1", Person("cc_789", "Mike Chen", "clinician"))


class Node:
    """A node's presence, with what its subscribers hear; ``alive`` False is a node that dies before it publishes."""

    def __init__(self, redis: "Redis", cluster: "Cluster") -> None:
        self.alive = True
        self._cluster = cluster
        presence = RedisPresenceStore(redis, own_clock=False)
        locks = RedisLockStore(redis, own_clock=False)
        self.teller = Teller(presence, locks, self._publish, lambda: cluster.now_s)
        self.woken_in_s: list[float] = []
        self.service = PresenceService(
            presence, locks, self.teller, wall=lambda: cluster.now_s, wake=self.woken_in_s.append
        )

    async def _publish(self, channel: str, data: bytes) -> None:
        if not self.alive:
            raise ConnectionError
        if channel == "/task/task_1":
            self._cluster.heard.append(json.loads(data))


class Cluster:
    """Two nodes, their time, and what went to subscribers."""

    def __init__(self, redis: "Redis") -> None:
        self.now_s = 1_763_028_000.0
        self.heard: list[dict[str, Any]] = []
        self.one, self.other = Node(redis, self), Node(redis, self)

    def take_heard(self) -> list[str]:
        heard, self.heard = self.heard, []
        return [event["type"].removeprefix("presence.") for event in heard]


@pytest.fixture
async def cluster(redis_url: str) -> AsyncIterator[Cluster]:
    redis = Redis.from_url(redis_url)
    yield Cluster(redis)
    await redis.aclose()


class TestTwoNodes:
    async def test_a_change_is_told_by_whichever_node_looks_first_and_once(self, cluster: Cluster) -> None:
        await cluster.one.service.receive(SARAH, Join(task_id="task_1"))
        cluster.now_s += 0.1
        await cluster.other.service.tick()
        await cluster.one.service.tick()
        assert cluster.take_heard() == ["user_joined"]

    async def test_a_dead_nodes_people_leave_once_when_their_lease_ends(self, cluster: Cluster) -> None:
        await cluster.one.service.receive(SARAH, Join(task_id="task_1"))
        await cluster.other.service.receive(MIKE, Join(task_id="task_1"))
        cluster.now_s += 0.1
        await cluster.one.service.tick()
        cluster.take_heard()
        cluster.now_s += 200
        await cluster.other.service.receive(MIKE, Join(task_id="task_1"))
        cluster.now_s += 101
        await cluster.other.service.tick()
        await cluster.other.service.tick()
        assert cluster.take_heard() == ["user_left"]
        snapshot = await cluster.other.service.snapshot("task_1")
        assert [user.user_id for user in snapshot.users or ()] == ["cc_789"]

    async def test_the_node_that_lost_a_connection_tells_it_at_its_moment(self, cluster: Cluster) -> None:
        await cluster.one.service.receive(SARAH, Join(task_id="task_1"))
        cluster.now_s += 0.1
        await cluster.one.service.tick()
        cluster.take_heard()
        cluster.one.woken_in_s.clear()
        await cluster.one.service.lose("s1", gone_for_s=1.0)
        assert cluster.one.woken_in_s == [pytest.approx(11.0)]
        cluster.now_s += 10.999
        await cluster.one.service.tick()
        assert cluster.take_heard() == []
        cluster.now_s += 0.001
        await cluster.one.service.tick()
        assert cluster.take_heard() == ["user_left"]

    async def test_the_grace_time_of_a_node_that_dies_ends_at_the_others_sweep(self, cluster: Cluster) -> None:
        await cluster.one.service.receive(SARAH, Join(task_id="task_1"))
        cluster.now_s += 0.1
        await cluster.one.service.tick()
        cluster.take_heard()
        await cluster.one.service.lose("s1")
        cluster.now_s += 12
        await cluster.other.service.tick()
        assert cluster.take_heard() == ["user_left"]

    async def test_an_event_found_by_a_node_that_dies_is_told_by_the_other(self, cluster: Cluster) -> None:
        await cluster.one.service.receive(SARAH, Join(task_id="task_1"))
        cluster.now_s += 0.1
        cluster.one.alive = False
        with pytest.raises(ConnectionError):
            await cluster.one.service.tick()
        await cluster.other.teller.recover()
        assert cluster.take_heard() == []
        cluster.now_s += 5
        await cluster.other.teller.recover()
        await cluster.other.teller.recover()
        assert cluster.take_heard() == ["user_joined"]

    async def test_a_lock_told_by_neither_is_told_later_with_the_same_id(self, cluster: Cluster) -> None:
        cluster.one.alive = False
        with pytest.raises(ConnectionError):
            await cluster.one.service.receive(SARAH, AcquireLock(task_id="task_1", field_name="notes"))
        cluster.now_s += 5
        await cluster.other.teller.recover()
        assert [event["type"] for event in cluster.heard] == ["presence.field_locked"]
        assert cluster.heard[0]["event_id"] == f"lock-task_1-{cluster.heard[0]['token']}-locked"

    async def test_a_session_that_comes_back_on_the_other_node_is_not_missed(self, cluster: Cluster) -> None:
        await cluster.one.service.receive(SARAH, Join(task_id="task_1"))
        cluster.now_s += 0.1
        await cluster.one.service.tick()
        cluster.take_heard()
        await cluster.one.service.lose("s1")
        cluster.now_s += 3
        await cluster.other.service.receive(SARAH._replace(session_id="s2"), Join(task_id="task_1"))
        cluster.now_s += 30
        await cluster.other.service.tick()
        assert cluster.take_heard() == []

    async def test_a_lock_holds_on_both_nodes(self, cluster: Cluster) -> None:
        await cluster.one.service.receive(SARAH, AcquireLock(task_id="task_1", field_name="notes"))
        answer = await cluster.other.service.receive(MIKE, AcquireLock(task_id="task_1", field_name="notes"))
        assert isinstance(answer, dict)
        assert answer["type"] == "lock.refused"

"""Calls about a task keep their session present on it, on both kinds of stores; nobody else hears of it."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from functools import partial

import pytest

from extensions.presence.backends.memory import MemoryLockStore, MemoryPresenceStore
from extensions.presence.backends.redis import RedisLockStore, RedisPresenceStore
from extensions.presence.people import presence_id
from tests.unit.extensions.presence.world import Client, World


class RedisWorld(World):
    """A world whose stores are a Redis on the world's clock."""

    async def settle(self) -> None:
        """Let everything come to rest, Redis's answers included."""
        await super().settle()
        while under_way := {*self.core.remote_calls._under_way, *self.extension._tasks, *self._ticks()}:
            await asyncio.wait(under_way)
            await super().settle()

    def _ticks(self) -> set["asyncio.Task[None]"]:
        tick = self.extension.ticker._task
        return set() if tick is None or tick.done() else {tick}


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    if request.param == "redis":
        for store in (RedisPresenceStore, RedisLockStore):
            monkeypatch.setattr(f"extensions.presence.{store.__name__}", partial(store, own_clock=False))
        world: World = RedisWorld(store="redis", redis_url=request.getfixturevalue("redis_url"))
    else:
        world = World()
    await world.server.start()
    yield world
    await world.server.stop()
    for close in world.app.on_cleanup:
        await close(world.app)


async def call(client: Client, task_id: str = "task_1", user_id: str = "cc_456") -> None:
    """What the care layer does with a call about a task."""
    client.world.extension.renew(presence_id(client.session.id), user_id, task_id)
    await client.world.settle()


async def test_a_call_is_a_sign_of_life(world: World, watched: Client, sarah: Client) -> None:
    await world.pass_time(250, hold=(watched, sarah))
    await call(sarah)
    await world.pass_time(299.9, hold=(watched, sarah))
    assert watched.heard() == []
    await world.pass_time(0.2, hold=(watched, sarah))
    assert watched.heard_types() == ["presence.user_left"]


async def test_a_call_renews_the_locks(world: World, watched: Client, sarah: Client) -> None:
    await watched.open()
    await sarah.tell("lock.acquire", field_name="notes")
    for _ in range(3):
        await world.pass_time(20, hold=(watched, sarah))
        await call(sarah)
    await world.pass_time(29.9, hold=(watched, sarah))
    assert (await watched.tell("lock.acquire", field_name="notes"))["data"]["type"] == "lock.refused"
    await world.pass_time(0.2, hold=(watched, sarah))
    assert (await watched.tell("lock.acquire", field_name="notes"))["data"]["type"] == "lock.granted"


async def test_a_call_leaves_the_state_as_it_is(world: World, watched: Client, sarah: Client) -> None:
    await sarah.tell("presence.typing", field_name="notes")
    await world.pass_time(3, hold=(watched, sarah))
    await call(sarah)
    await world.pass_time(1.9, hold=(watched, sarah))
    told = [event["type"] for event in watched.heard()]
    assert told == ["presence.state_changed", "presence.typing"]
    await world.pass_time(0.2, hold=(watched, sarah))
    (changed,) = watched.heard()
    assert (changed["old_state"], changed["new_state"]) == ("typing", "editing")


async def test_a_call_makes_nobody_present(world: World, watched: Client, sarah: Client) -> None:
    await watched.send("/meta/subscribe", subscription="/task/task_2")
    watched.heard()
    await call(sarah, "task_2")
    await call(watched, user_id="cc_789")
    await sarah.tell("presence.user_left")
    await call(sarah)
    await world.pass_time(0.2, hold=(watched, sarah))
    assert watched.heard_types() == ["presence.user_left"]


async def test_nobody_keeps_anothers_session_present(world: World, watched: Client, sarah: Client) -> None:
    await world.pass_time(250, hold=(watched, sarah))
    await call(sarah, user_id="cc_789")
    await world.pass_time(50.2, hold=(watched, sarah))
    assert watched.heard_types() == ["presence.user_left"]


async def test_a_lease_that_is_over_is_not_begun_again(world: World, watched: Client, sarah: Client) -> None:
    await world.pass_time(300.2, hold=(watched, sarah))
    await call(sarah)
    await world.pass_time(0.2, hold=(watched, sarah))
    assert watched.heard_types() == ["presence.user_left"]


async def test_a_call_without_a_connection_does_not_prolong_the_grace_time(
    world: World, watched: Client, sarah: Client
) -> None:
    await sarah.lose_connection()
    await world.pass_time(5, hold=(watched,))
    await call(sarah)
    await world.pass_time(7.1, hold=(watched,))
    assert watched.heard_types() == ["presence.user_left"]


async def test_who_leaves_while_a_call_waits_for_its_turn_is_gone(
    world: World, watched: Client, sarah: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = world.service.leave_task

    async def slow(session_id: str, task_id: str) -> None:
        world.extension.renew(session_id, "cc_456", task_id)
        await leave(session_id, task_id)

    monkeypatch.setattr(world.service, "leave_task", slow)
    await sarah.tell("presence.user_left")
    await world.pass_time(0.2, hold=(watched, sarah))
    assert watched.heard_types() == ["presence.user_left"]


@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_a_call_while_the_stores_are_away_is_forgotten(
    world: World, watched: Client, sarah: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise ConnectionError

    await world.pass_time(250, hold=(watched, sarah))
    with monkeypatch.context() as patch:
        for store in (MemoryPresenceStore, MemoryLockStore):
            for name, method in list(vars(store).items()):
                if inspect.iscoroutinefunction(method):
                    patch.setattr(store, name, away)
        await call(sarah)
    await world.pass_time(50.2, hold=(watched, sarah))
    assert watched.heard_types() == ["presence.user_left"]

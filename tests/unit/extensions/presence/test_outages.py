"""The stores are away for a while: what is refused meanwhile, and what is made good when they are back."""

import asyncio
import inspect
from collections.abc import Callable, Mapping

import pytest
from structlog.testing import capture_logs

from channels.locks.guard import LockMode, StoreLockGuard, WriteIntent
from channels.presence.model import PresenceState
from channels.presence.table import PresenceTable
from extensions.presence.backends.memory import MemoryLockStore, MemoryPresenceStore
from extensions.presence.service import Visitor
from tests.unit.extensions.presence.world import Client, World

INTENT = WriteIntent("task_1", frozenset({"notes"}), "cc_456")


async def away(*_: object) -> None:
    raise ConnectionError


@pytest.fixture
def stores_go(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Take the stores away; undo the monkeypatch and they are back."""

    def go() -> None:
        for store in (MemoryPresenceStore, MemoryLockStore):
            for name, method in list(vars(store).items()):
                if inspect.iscoroutinefunction(method):
                    monkeypatch.setattr(store, name, away)

    return go


async def test_messages_are_refused_for_now(
    world: World, watched: Client, sarah: Client, stores_go: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stores_go()
    answer = await sarah.tell("presence.heartbeat")
    assert answer["successful"] is False
    assert answer["data"]["error"] == "503:/service/presence:presence_unavailable"
    monkeypatch.undo()
    assert (await sarah.tell("presence.heartbeat"))["successful"]


async def test_who_left_meanwhile_is_told_as_gone_afterwards(
    world: World, watched: Client, sarah: Client, stores_go: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stores_go()
    await sarah.send("/meta/disconnect")
    await world.pass_time(3, hold=(watched,))
    assert watched.heard() == []
    monkeypatch.undo()
    await world.pass_time(1.1, hold=(watched,))
    assert watched.heard_types() == ["presence.user_left"]


async def test_who_subscribed_meanwhile_gets_the_snapshot_afterwards(
    world: World, watched: Client, stores_go: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stores_go()
    late = await world.client("cc_999", "Lea Late")
    await late.send("/meta/subscribe", subscription="/task/task_1")
    assert late.heard() == []
    monkeypatch.undo()
    await world.pass_time(1, hold=(watched, late))
    (snapshot,) = late.heard()
    assert [user["user_id"] for user in snapshot["users"]] == ["cc_456"]


async def test_stores_that_come_back_empty_hear_who_is_there_and_in_which_state(
    world: World, watched: Client, sarah: Client, stores_go: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    await sarah.tell("presence.state_changed", new_state="editing")
    await world.pass_time(0.1, hold=(watched, sarah))
    watched.heard()
    stores_go()
    await world.pass_time(2, hold=(watched, sarah))
    world.service._presence._table = PresenceTable()
    monkeypatch.undo()
    await world.pass_time(2, hold=(watched, sarah))
    (joined,) = watched.heard()
    assert (joined["type"], joined["user"]["state"]) == ("presence.user_joined", "editing")


async def test_they_hear_it_of_one_after_the_other(
    world: World, watched: Client, stores_go: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    present = [await world.client(f"cc_{number}") for number in range(5)]
    for client in present:
        await client.open()
    stores_go()
    await world.pass_time(2, hold=(watched, *present))
    monkeypatch.undo()
    under_way, most = 0, 0

    async def resume(_visitor: Visitor, _states: Mapping[str, PresenceState]) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    monkeypatch.setattr(world.service, "resume", resume)
    await world.pass_time(1.1, hold=(watched, *present))
    assert most == 1


async def test_stores_that_kept_everything_make_no_noise(
    world: World, watched: Client, sarah: Client, stores_go: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stores_go()
    await world.pass_time(5, hold=(watched, sarah))
    monkeypatch.undo()
    await world.pass_time(20, hold=(watched, sarah))
    assert watched.heard() == []


async def test_it_is_told_once_whoever_is_concerned(
    world: World, watched: Client, sarah: Client, stores_go: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        stores_go()
        await sarah.lose_connection()
        await world.pass_time(30, hold=(watched,))
        monkeypatch.undo()
        await world.pass_time(1.1, hold=(watched,))
    assert [entry["event"] for entry in logs] == ["presence.tick_failed", "presence.recovered"]


async def test_a_server_can_be_stopped_meanwhile_and_presence_ends_with_the_lease(
    world: World, watched: Client, stores_go: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stores_go()
    with capture_logs() as logs:
        await world.extension.stop()
    assert [entry["event"] for entry in logs] == ["presence.stores_away_at_stop"]
    monkeypatch.undo()
    now_s = world.clock.wall()
    assert (await world.service._presence.snapshot("task_1", now_s + 299)).counts.total == 1
    await world.service._presence.flush(now_s + 301)
    assert (await world.service._presence.snapshot("task_1", now_s + 301)).counts.total == 0


class TestWrites:
    """Of fields that somebody may have locked."""

    async def test_wait_for_locks_that_are_enforced(self) -> None:
        with pytest.raises(ConnectionError):
            await StoreLockGuard(away, lambda: 0.0).check(INTENT)  # type: ignore[arg-type]

    async def test_go_on_where_locks_only_warn(self) -> None:
        guard = StoreLockGuard(away, lambda: 0.0, LockMode.ADVISORY)  # type: ignore[arg-type]
        assert (await guard.check(INTENT)).allowed

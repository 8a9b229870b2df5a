"""A new subscriber gets the snapshot before any change: what is told meanwhile is in it, what is newer comes behind."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from channels.presence.events import Snapshot
from extensions.presence.gate import WAIT_S
from tests.unit.extensions.presence.world import Client, World

Deed = Callable[[], Awaitable[object]]


@pytest.fixture
def overtaken(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give deeds, one for each of the next snapshots: done after it was read, and before it is sent."""

    def arrange(*deeds: Deed) -> None:
        read, left = world.service.snapshot, list(deeds)

        async def snapshot(task_id: str) -> Snapshot:
            found: Snapshot = await read(task_id)
            if left:
                await left.pop(0)()
            return found

        monkeypatch.setattr(world.service, "snapshot", snapshot)

    return arrange


@pytest.fixture
async def mike(world: World, mike: Client) -> Client:
    """Mike is on the task before anybody else looks."""
    await mike.open()
    await world.pass_time(0.1)
    return mike


def changes(world: World, client: Client, kind: str, task_id: str = "task_1", **fields: object) -> Deed:
    """Send a message, and let time pass until it is told."""

    async def change() -> None:
        await client.tell(kind, task_id, **fields)
        await world.pass_time(0.1)

    return change


async def subscribe(client: Client, channel: str = "/task/task_1") -> None:
    """Subscribe, and wait for what comes of it."""
    await client.send("/meta/subscribe", subscription=channel)
    async with asyncio.timeout(20):
        while client.world.extension._tasks:
            await client.world.settle()


@pytest.mark.parametrize("channel", ["/task/task_1", "/task/task_1/presence", "/task/task_1/*", "/task/task_1/**"])
async def test_a_change_that_overtakes_the_snapshot_is_in_it(
    world: World, sarah: Client, mike: Client, overtaken: Callable[..., None], channel: str
) -> None:
    edits = changes(world, mike, "presence.state_changed", new_state="editing")
    overtaken(edits)
    await subscribe(sarah, channel)
    (snapshot,) = sarah.heard()
    assert (snapshot["type"], snapshot["users"][0]["state"]) == ("presence.snapshot", "editing")
    await changes(world, mike, "presence.state_changed", new_state="viewing")()
    (changed,) = sarah.heard()
    assert (changed["new_state"], changed["version"]) == ("viewing", snapshot["version"] + 1)


async def test_a_change_that_is_in_the_snapshot_does_not_come_behind_it(
    world: World, sarah: Client, mike: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    publish = world.extension.teller._publish

    async def later(channel: str, data: bytes) -> None:
        told.append((channel, data))

    with monkeypatch.context() as patch:
        patch.setattr(world.extension.teller, "_publish", later)
        await changes(world, mike, "presence.state_changed", new_state="editing")()
    await subscribe(sarah)
    for channel, data in told:
        await publish(channel, data)
    await world.settle()
    (snapshot,) = sarah.heard()
    assert (snapshot["type"], snapshot["users"][0]["state"]) == ("presence.snapshot", "editing")
    assert [event["type"] for event in mike.heard()[-1:]] == ["presence.state_changed"]


async def test_who_is_overtaken_again_and_again_sees_a_gap(
    world: World, sarah: Client, mike: Client, overtaken: Callable[..., None]
) -> None:
    states = ("editing", "viewing", "editing")
    overtaken(*(changes(world, mike, "presence.state_changed", new_state=state) for state in states))
    await subscribe(sarah)
    (snapshot,) = sarah.heard()
    await changes(world, mike, "presence.state_changed", new_state="viewing")()
    (changed,) = sarah.heard()
    assert changed["version"] == snapshot["version"] + 2


async def test_a_cursor_before_the_snapshot_is_in_it(
    world: World, sarah: Client, mike: Client, overtaken: Callable[..., None]
) -> None:
    moves = changes(world, mike, "presence.cursor", field_name="notes", field_index=3)
    edits = changes(world, mike, "presence.state_changed", new_state="editing")

    async def both() -> None:
        await moves()
        await edits()

    overtaken(both)
    await subscribe(sarah)
    (snapshot,) = sarah.heard()
    assert snapshot["users"][0]["cursor_position"] == {"field_name": "notes", "field_index": 3}
    await moves()
    assert sarah.heard_types() == ["presence.cursor"]


async def test_other_events_of_the_channel_do_not_wait(
    world: World, sarah: Client, mike: Client, overtaken: Callable[..., None]
) -> None:
    notes = '{"type":"task.updated","task":{"notes":"\\"type\\":\\"presence."}}'

    async def updates() -> None:
        await world.server.publish("/task/task_1", notes.encode())
        await world.server.publish("/task/task_2", b'{"type":"presence.user_left","version":1}')

    await subscribe(sarah, "/task/task_2")
    await changes(world, sarah, "presence.user_joined", "task_2")()
    sarah.heard()
    overtaken(updates)
    await subscribe(sarah)
    assert sarah.heard_types() == ["task.updated", "presence.user_left", "presence.snapshot"]


async def test_who_gets_no_snapshot_gets_changes_after_a_while(
    world: World, sarah: Client, mike: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_task_id: str) -> Snapshot:
        raise ConnectionError

    monkeypatch.setattr(world.service, "snapshot", fails)
    await subscribe(sarah)
    await changes(world, mike, "presence.state_changed", new_state="editing")()
    assert sarah.heard() == []
    monkeypatch.setattr(world.extension, "_undone", type(world.extension._undone)())
    await world.pass_time(WAIT_S, hold=(sarah, mike))
    await changes(world, mike, "presence.state_changed", new_state="viewing")()
    assert sarah.heard_types() == ["presence.state_changed"]


async def test_nothing_of_the_gate_stays_with_the_session(world: World, sarah: Client, mike: Client) -> None:
    for channel in ("/task/task_1", "/task/task_2"):
        await subscribe(sarah, channel)
    assert sarah.session.extensions
    await changes(world, mike, "presence.state_changed", new_state="editing")()
    assert sarah.session.extensions
    await world.pass_time(WAIT_S, hold=(sarah, mike))
    await changes(world, mike, "presence.state_changed", new_state="viewing")()
    assert sarah.session.extensions == ()
    assert sarah.heard_types() == [
        "presence.snapshot", "presence.snapshot", "presence.state_changed", "presence.state_changed",
    ]  # fmt: skip

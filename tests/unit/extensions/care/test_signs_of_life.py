"""Calls about a task are signs of life of the session they come from, by either road."""

import pytest

from tests.support.care_world import MIKE, SARAH, CareWorld
from tests.support.client import Client

LOCK_LEASE_S = 30


async def lock(world: CareWorld, page: Client, task_id: str) -> str:
    """Ask for the lock of the notes; return whether it was granted or refused."""
    data = {"type": "lock.acquire", "task_id": task_id, "field_name": "notes"}
    return str((await world.call(page, "/service/presence", data))["data"]["type"])


class Tabs:
    """Sarah, who holds a lock, and Mike, who waits for it."""

    def __init__(self, world: CareWorld, task_id: str, sarah: Client, mike: Client) -> None:
        self.world, self.task_id, self.sarah, self.mike = world, task_id, sarah, mike

    async def see_the_lock_kept(self) -> None:
        """Sarah called 20 s after she got the lock, just now."""
        self.world.let_pass(20)
        assert await lock(self.world, self.mike, self.task_id) == "lock.refused"

    async def see_the_lock_gone(self) -> None:
        """Nothing kept it."""
        self.world.let_pass(LOCK_LEASE_S - 20)
        assert await lock(self.world, self.mike, self.task_id) == "lock.granted"


@pytest.fixture
async def tabs(world: CareWorld) -> Tabs:
    task_id = (await world.task())["id"]
    sarah, mike = [await world.page(user, f"/task/{task_id}") for user in (SARAH, MIKE)]
    assert await lock(world, sarah, task_id) == "lock.granted"
    world.let_pass(20)
    return Tabs(world, task_id, sarah, mike)


@pytest.mark.parametrize(
    ("operation", "more", "successful"),
    [
        ("task.get", {}, True),
        ("task.versions", {}, True),
        ("task.assign", {"assigned_to": MIKE.user_id}, True),
        ("task.update", {"version": 1, "changes": {"priority": "high"}}, True),
        ("task.update", {"changes": {"priority": "high"}}, False),
    ],
)
async def test_a_remote_call_keeps_its_session_there(
    tabs: Tabs, operation: str, more: dict[str, object], successful: bool
) -> None:
    channel = "/service/" + operation.replace(".", "/")
    answer = await tabs.world.call(tabs.sarah, channel, {"task_id": tabs.task_id, **more})
    assert answer["successful"] is successful
    await tabs.see_the_lock_kept()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "", None, 200),
        ("GET", "/versions", None, 200),
        ("PATCH", "", {"version": 1, "changes": {"priority": "high"}}, 200),
        ("POST", "/complete", {"version": 9}, 409),
    ],
)
async def test_a_request_that_names_its_session_keeps_it_there(
    tabs: Tabs, method: str, path: str, body: dict[str, object] | None, status: int
) -> None:
    url = f"/api/tasks/{tabs.task_id}{path}"
    answer = await tabs.world.ask(method, url, body=body, Bayeux_Client_Id=str(tabs.sarah.id))
    assert answer.status == status
    await tabs.see_the_lock_kept()


async def test_a_request_that_names_none_keeps_nobody_there(tabs: Tabs) -> None:
    assert (await tabs.world.ask("GET", f"/api/tasks/{tabs.task_id}")).status == 200
    await tabs.see_the_lock_gone()


async def test_a_request_that_names_anothers_session_keeps_nobody_there(tabs: Tabs) -> None:
    url = f"/api/tasks/{tabs.task_id}"
    assert (await tabs.world.ask("GET", url, MIKE, Bayeux_Client_Id=str(tabs.sarah.id))).status == 200
    await tabs.see_the_lock_gone()


async def test_calls_about_another_task_keep_nobody_there(tabs: Tabs) -> None:
    other = await tabs.world.task()
    assert (await tabs.world.call(tabs.sarah, "/service/task/get", {"task_id": other["id"]}))["successful"]
    await tabs.see_the_lock_gone()

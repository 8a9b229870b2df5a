"""What a change of a task sets in motion, on every channel, for whoever may see it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.schema import check
from tests.support.care_world import (
    EAST,
    EVE,
    JOHN,
    MIKE,
    RITA,
    SARAH,
    SERVICE,
    CareWorld,
    care_world,
    heard,
    next_event,
)
from tests.support.client import Client

TEAM_LIST = f"/task_list/team/{EAST}"
FEED = f"/activity_feed/{EAST}"
MIKES = f"/notifications/{MIKE.user_id}"


@pytest.fixture(params=["embedded", "services"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CareWorld]:
    services = request.getfixturevalue("services") if request.param == "services" else None
    async with care_world(tmp_path, services) as running:
        yield running


async def events(client: Client, count: int) -> dict[str, dict[str, Any]]:
    """The next events, by channel; who looks at a task, which everybody is told first, is passed over."""
    found: dict[str, dict[str, Any]] = {}
    while len(found) < count:
        message = await client.event()
        if message["data"]["type"] != "presence.snapshot":
            found[message["channel"]] = message["data"]
    return found


async def next_task_event(client: Client) -> dict[str, Any]:
    """The next event of a task."""
    [event] = (await events(client, 1)).values()
    return event


def foreign(task: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An event of a back-end service about a task."""
    return {
        "event_id": "ev_foreign_1",
        "type": "task.updated",
        "task_id": task["id"],
        "version": 2,
        "task": {"id": task["id"], "status": "in_progress", "version": 2},
        "changed_fields": ["status"],
        "changed_by": {"user_id": SERVICE.user_id, "user_name": SERVICE.user_name, "user_role": "system"},
        "timestamp": "2025-11-13T10:30:00.000Z",
        **fields,
    }


class TestAChangedTask:
    async def test_reaches_its_page_the_lists_the_feed_and_who_was_given_it(self, world: CareWorld) -> None:
        task = await world.task(notes="first")
        lists = (f"/task_list/assigned_to/{MIKE.user_id}", f"/task_list/member/{JOHN.id}", TEAM_LIST)
        channels = {f"/task/{task['id']}", *lists, FEED, MIKES}
        mike = await world.page(MIKE, *channels)
        path = f"/api/tasks/{task['id']}/assign"
        assert (await world.ask("POST", path, body={"assigned_to": MIKE.user_id, "reason": "Knows him"})).status == 200
        arrived = await events(mike, len(channels))
        assert set(arrived) == channels
        kinds = {channel: event["type"] for channel, event in arrived.items()}
        assert kinds == {
            **dict.fromkeys(channels - {FEED, MIKES}, "task.assigned"),
            FEED: "task_assigned",
            MIKES: "notification.task_assigned",
        }
        assert {event["version"] for event in arrived.values()} == {2}

    async def test_is_told_in_the_same_words_live_and_over_http_to_each_reader(self, world: CareWorld) -> None:
        task = await world.task()
        pages = {user.user_id: await world.page(user, FEED) for user in (MIKE, SARAH, RITA)}
        path = f"/api/tasks/{task['id']}/assign"
        assert (await world.ask("POST", path, body={"assigned_to": MIKE.user_id})).status == 200
        words = {}
        for user in (MIKE, SARAH, RITA):
            live = await next_event(pages[user.user_id], "task_assigned")
            [stored, _] = (await world.ask("GET", f"/api/activity?team_id={EAST}", user)).body["items"]
            assert live == stored
            words[user] = live["action_description"]
        assert words == {MIKE: "assigned task to you", SARAH: "assigned task", RITA: "assigned task"}

    async def test_that_moves_to_somebody_else_leaves_the_list_it_was_on(self, world: CareWorld) -> None:
        task = await world.task(assigned_to=MIKE.user_id)
        mike = await world.page(MIKE, f"/task_list/assigned_to/{MIKE.user_id}")
        await world.ask("POST", f"/api/tasks/{task['id']}/assign", body={"assigned_to": SARAH.user_id})
        event = await next_event(mike, "task.assigned")
        assert event["previous_assigned_to"] == MIKE.user_id

    async def test_is_shown_redacted_to_who_has_no_rights_to_phi_and_to_others_not_at_all(
        self, world: CareWorld
    ) -> None:
        task = await world.task(notes="Left voicemail")
        rita = await world.page(RITA, TEAM_LIST, f"/task/{task['id']}")
        eve = await world.page(EVE)
        for channel in (f"/task/{task['id']}", TEAM_LIST, FEED, "/task/absent"):
            assert (await eve.subscribe(channel))["error"] == f"403:{channel}:subscribe_denied"
        await world.change(task, notes="Reached him")
        for event in (await events(rita, 2)).values():
            assert (event["redacted"], event["version"]) == (True, 2)
            assert not {"notes", "title", "member_id", "member_name"} & set(event["task"])

    async def test_warns_those_who_edit_it_and_nobody_else(self, world: CareWorld) -> None:
        task = await world.task()
        channel = f"/task/{task['id']}"
        editor, reader = await world.page(SARAH, channel), await world.page(MIKE, channel)
        for page, state in ((editor, "editing"), (reader, "viewing")):
            joined = {"type": "presence.user_joined", "task_id": task["id"], "state": state}
            assert (await world.call(page, "/service/presence", joined))["successful"]
        rita = await world.page(RITA, channel)
        await world.change(task, MIKE, notes="Changed under her")
        warning = await next_event(editor, "task.base_moved")
        assert (warning["task_id"], warning["version"]) == (task["id"], 2)
        await world.change({**task, "version": 2}, MIKE, notes="Again")
        for page in (reader, rita):
            seen = [(await next_event(page, "task.updated"))["version"] for _ in range(2)]
            assert seen == [2, 3]
            assert "task.base_moved" not in [event["type"] for event in heard(page)]

    @pytest.mark.parametrize("road", ["http", "remote call"])
    async def test_warns_the_other_tabs_of_who_changed_it_and_not_the_one_it_was_changed_in(
        self, world: CareWorld, road: str
    ) -> None:
        task = await world.task()
        channel, path = f"/task/{task['id']}", f"/api/tasks/{task['id']}"
        tab, other_tab = await world.page(SARAH, channel), await world.page(SARAH, channel)
        for page in (tab, other_tab):
            joined = {"type": "presence.user_joined", "task_id": task["id"], "state": "editing"}
            assert (await world.call(page, "/service/presence", joined))["successful"]
        body = {"version": 1, "changes": {"notes": "Changed in this tab"}}
        if road == "http":
            assert (await world.ask("PATCH", path, body=body, Bayeux_Client_Id=str(tab.id))).status == 200
        else:
            await tab.peer.request(tab.message("/service/task/update", data={"task_id": task["id"], **body}))
        warning = await next_event(other_tab, "task.base_moved")
        check("task.base_moved", warning)
        assert (warning["version"], warning["changed_by"]["user_id"]) == (2, SARAH.user_id)
        await world.change({**task, "version": 2}, MIKE, notes="Again")
        assert (await next_event(tab, "task.base_moved"))["version"] == 3


class TestEventTypes:
    async def test_only_those_asked_for_arrive(self, world: CareWorld) -> None:
        task = await world.task()
        page = await world.page(MIKE)
        reply = await page.subscribe(f"/task/{task['id']}", ext={"event_types": ["task.completed", "task.as*"]})
        assert reply["successful"]
        changed = await world.change(task, notes="x")
        await world.change(changed, status="completed")
        await world.ask("POST", f"/api/tasks/{task['id']}/assign", body={"assigned_to": SARAH.user_id})
        assert [(await page.event())["data"]["type"] for _ in range(2)] == ["task.completed", "task.assigned"]


class TestPresence:
    async def test_reaches_only_who_is_subscribed_to_that_task(self, world: CareWorld) -> None:
        task, other = await world.task(), await world.task()
        sarah = await world.page(SARAH, f"/task/{task['id']}")
        mike = await world.page(MIKE, f"/task/{task['id']}")
        elsewhere = await world.page(RITA, f"/task/{other['id']}", TEAM_LIST)
        joined = {"type": "presence.user_joined", "task_id": task["id"], "state": "viewing"}
        await world.call(sarah, "/service/presence", joined)
        world.let_pass(1)
        assert (await next_event(mike, "presence.user_joined"))["user"]["user_id"] == SARAH.user_id
        await world.change(other, notes="x")
        assert {event["type"] for event in (await events(elsewhere, 2)).values()} == {"task.updated"}


class TestNotifications:
    async def test_are_stored_before_they_are_sent(self, world: CareWorld) -> None:
        mike = await world.page(MIKE, MIKES)
        await world.task(assigned_to=MIKE.user_id, message="Please call")
        event = await next_event(mike, "notification.task_assigned")
        [stored] = (await world.ask("GET", "/api/notifications", MIKE)).body["items"]
        assert stored == {**event, "read": False}
        assert (event["message"], event["assigned_by"]["user_name"]) == ("Please call", "Sarah Johnson")

    async def test_read_in_one_tab_are_read_in_the_others(self, world: CareWorld) -> None:
        first, second = await world.page(MIKE, MIKES), await world.page(MIKE, MIKES)
        await world.task(assigned_to=MIKE.user_id)
        event = await next_event(second, "notification.task_assigned")
        answer = await world.call(first, "/service/notification/read", {"notification_ids": [event["notification_id"]]})
        assert answer["data"] == {"unread_count": 0}
        read = await next_event(second, "notification.read")
        assert (read["notification_ids"], read["unread_count"]) == ([event["notification_id"]], 0)


class TestABackEndService:
    async def test_tells_what_happened_elsewhere_and_everybody_hears_it(self, world: CareWorld) -> None:
        task = await world.task()
        sarah = await world.page(SARAH, f"/task/{task['id']}", TEAM_LIST, FEED)
        service = await world.page(SERVICE)
        assert (await service.publish(f"/task/{task['id']}", foreign(task)))["successful"]
        assert set(await events(sarah, 3)) == {f"/task/{task['id']}", TEAM_LIST, FEED}
        read = await world.ask("GET", f"/api/tasks/{task['id']}")
        assert (read.body["status"], read.body["version"]) == ("in_progress", 2)

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"version": 1}, "409:data.version:not newer than what is known"),
            ({"type": "task.exploded"}, "402:data.type:must be a type of task or presence event"),
            ({"task_id": "task_other"}, "402:data.task_id:is not the task of the channel"),
            ({"version": "two"}, "402:data.version:breaks type"),
            ({"changed_by": {"user_id": "x"}}, "402:data.changed_by.user_name:breaks required"),
            ({"timestamp": "yesterday"}, "402:data.timestamp:breaks pattern"),
        ],
    )
    async def test_is_told_what_is_wrong(self, world: CareWorld, fields: dict[str, Any], error: str) -> None:
        task = await world.task()
        service = await world.page(SERVICE)
        reply = await service.publish(f"/task/{task['id']}", foreign(task, **fields))
        assert (reply["successful"], reply["error"]) == (False, error)

    async def test_alone_publishes_events(self, world: CareWorld) -> None:
        task = await world.task()
        sarah = await world.page(SARAH)
        reply = await sarah.publish(f"/task/{task['id']}", foreign(task))
        assert reply["error"].startswith("403:")


class TestWhatIsReplayed:
    async def test_keeps_its_redaction(self, world: CareWorld) -> None:
        task = await world.task(notes="Left voicemail")
        channel = f"/task/{task['id']}"
        await world.change(task, notes="Reached him")
        watcher = await world.page(SARAH, channel)
        await world.change({**task, "version": 2}, notes="Reached her")
        await next_event(watcher, "task.updated")
        rita = await world.page(RITA, replay=True)
        reply = await rita.subscribe(channel, ext={"replay": {channel: -2}})
        assert reply["successful"], reply
        replayed = [await next_task_event(rita) for _ in range(3)]
        assert [event["version"] for event in replayed] == [1, 2, 3]
        assert all(event["redacted"] for event in replayed)
        assert not any({"notes", "title", "member_id"} & set(event["task"]) for event in replayed)

    async def test_is_as_the_viewer_may_see_it_now(self, world: CareWorld) -> None:
        task = await world.task(notes="Left voicemail")
        channel = f"/task/{task['id']}"
        await world.change(task, notes="Reached him")
        eve = await world.page(EVE, replay=True)
        reply = await eve.subscribe(channel, ext={"replay": {channel: -2}})
        assert reply["error"] == f"403:{channel}:subscribe_denied"
        assert heard(eve) == []


class TestADay:
    async def test_from_a_task_s_creation_to_the_feed(self, world: CareWorld) -> None:
        task = await world.task(notes="first")
        mike = await world.page(MIKE, f"/task/{task['id']}", FEED, MIKES)
        rita = await world.page(RITA, f"/task/{task['id']}")
        await world.change(task, notes="second")
        assert (await events(mike, 2))[f"/task/{task['id']}"]["task"]["notes"] == "second"
        assert "notes" not in (await next_event(rita, "task.updated"))["task"]
        conflict = await world.ask(
            "PATCH", f"/api/tasks/{task['id']}", MIKE, {"version": 1, "changes": {"priority": "low"}}
        )
        assert (conflict.status, conflict.body["mergeable"]) == (409, True)
        path = f"/api/tasks/{task['id']}/assign"
        assert (await world.ask("POST", path, body={"assigned_to": MIKE.user_id})).status == 200
        assert (await next_event(mike, "notification.task_assigned"))["task_id"] == task["id"]
        assert (await world.ask("GET", "/api/notifications", MIKE)).body["unread_count"] == 1
        feed = (await world.ask("GET", f"/api/activity?team_id={EAST}")).body["items"]
        assert [each["type"] for each in feed] == ["task_assigned", "task_updated", "task_created"]

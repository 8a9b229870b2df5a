"""Authorization over the wire: who may subscribe, what each is shown, and what a revocation ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from tests.support.relations import touch
from tests.unit.extensions.authorization.world import TASK, UPDATED, World, audited, world


@pytest.fixture
async def care(tmp_path: Path) -> AsyncIterator[World]:
    """The server, started."""
    async with world(tmp_path) as started:
        yield started


class TestSubscribing:
    async def test_staff_subscribe_to_what_they_may_see(self, care: World) -> None:
        sarah = await care.page("sarah")
        for channel in ("/task/1", "/task/1/presence", "/task_list/team/north", "/activity_feed/north"):
            assert await sarah.subscribe(channel) is None
        assert await sarah.subscribe("/notifications/sarah", "/task_list/assigned_to/sarah") is None

    async def test_what_is_hidden_and_what_is_not_there_are_refused_alike(self, care: World) -> None:
        stranger = await care.page("stranger")
        assert await stranger.subscribe("/task/1") == "403:/task/1:subscribe_denied"
        assert await stranger.subscribe("/task/99") == "403:/task/99:subscribe_denied"

    @pytest.mark.parametrize("channel", ["/notifications/chen", "/task_list/member/A1", "/task/*", "/task/**", "/**"])
    async def test_support_staff_get_neither_others_nor_patients_nor_everything(
        self, care: World, channel: str
    ) -> None:
        rita = await care.page("rita", "rsa")
        assert await rita.subscribe("/task/1", channel) == f"403:{channel}:subscribe_denied"
        assert await rita.subscribe("/task/1") is None

    async def test_anonymous_sessions_see_nothing_of_the_care_layer(self, care: World) -> None:
        nobody = await care.page(None)
        assert await nobody.subscribe("/task/1") == "403:/task/1:subscribe_denied"
        assert await nobody.subscribe("/chat/room") is None

    async def test_only_services_publish_and_only_on_tasks(self, care: World) -> None:
        sarah, service = await care.page("sarah"), await care.page("careflow", "system")
        assert await sarah.publish("/task/1", UPDATED) is not None
        assert await service.publish("/task/1", UPDATED) is None
        assert await service.publish("/notifications/sarah", {}) is not None
        assert await service.subscribe("/**") is None


class TestViews:
    async def test_one_event_is_full_for_one_redacted_for_another_and_hidden_from_a_third(self, care: World) -> None:
        sarah, rita, service = await care.page("sarah"), await care.page("rita", "rsa"), await care.page("s", "system")
        await sarah.subscribe("/task/1")
        await rita.subscribe("/task/1")
        await service.subscribe("/task/**")
        await care.publish("/task/1", UPDATED)
        assert await sarah.events() == [UPDATED]
        assert await service.events() == [UPDATED]
        (shown,) = await rita.events()
        assert shown["task"] == {"id": "1", "status": "pending", "redacted": True}
        assert "A1" not in json.dumps(shown)

    async def test_a_task_in_a_list_is_judged_by_itself(self, care: World) -> None:
        sarah = await care.page("sarah")
        await sarah.subscribe("/task_list/team/north")
        await care.publish("/task_list/team/north", {**UPDATED, "task_id": "99", "task": {"id": "99"}})
        await care.publish("/task_list/team/north", UPDATED)
        assert [event["task_id"] for event in await sarah.events()] == ["1"]

    async def test_what_cannot_be_read_is_shown_to_nobody(self, care: World) -> None:
        sarah = await care.page("sarah")
        await sarah.subscribe("/task/1")
        for data in (b'"text"', b"[1]", b'{"type":"task.updated"}', b'{"task_id":"2"}'):
            await care.server.publish("/task/1", data)
        assert await sarah.events() == []

    async def test_only_wanted_types_are_delivered(self, care: World) -> None:
        sarah, chen = await care.page("sarah"), await care.page("chen")
        await sarah.subscribe("/task/1", event_types=["task.assigned", "presence.*"])
        await chen.subscribe("/task/1", event_types=["task.updated"])
        await chen.subscribe("/task/1/*")
        joined = {"type": "presence.user_joined", "task_id": "1", "user": {"user_id": "omar"}}
        await care.publish("/task/1", UPDATED)
        await care.publish("/task/1", joined)
        assert await sarah.events() == [joined]
        assert await chen.events() == [UPDATED]

    @pytest.mark.parametrize(
        ("wanted", "arrives"), [("*", True), ("task.up*", True), ("task.*", True), ("task.as*", False)]
    )
    async def test_a_star_at_the_end_stands_for_whatever_follows(self, care: World, wanted: str, arrives: bool) -> None:
        sarah = await care.page("sarah")
        await sarah.subscribe("/task/1", event_types=[wanted])
        await care.publish("/task/1", UPDATED)
        assert await sarah.events() == ([UPDATED] if arrives else [])

    @pytest.mark.parametrize(
        "types", ["task.updated", [], [5], [""], ["x" * 65], ["a"] * 51, ["*.updated"], ["task.**"]]
    )
    async def test_event_types_in_a_wrong_form_are_refused(self, care: World, types: object) -> None:
        sarah = await care.page("sarah")
        assert await sarah.subscribe("/task/1", event_types=types) == "402:ext.event_types:event_types_invalid"


class TestRevocation:
    async def test_who_loses_a_task_is_unsubscribed_and_gets_nothing_that_waited(self, care: World) -> None:
        omar, chen = await care.page("omar"), await care.page("chen")
        await omar.subscribe("/task/1", "/notifications/omar")
        await chen.subscribe("/task/1")
        await care.publish("/task/1", UPDATED)
        await care.publish("/notifications/omar", {"type": "notification.read", "user_id": "omar", "unread_count": 0})
        await care.revoke("member:A1#care_team@user:omar")
        await care.publish("/task/1", UPDATED)
        read, revoked = await omar.events()
        assert read["type"] == "notification.read"
        assert (revoked["type"], revoked["subscriptions"]) == ("subscription.revoked", ["/task/1"])
        assert revoked.keys() == {"type", "event_id", "timestamp", "subscriptions"}
        assert [event["type"] for event in await chen.events()] == ["task.updated", "task.updated"]
        assert await omar.subscribe("/task/1") == "403:/task/1:subscribe_denied"

    async def test_who_loses_phi_rights_keeps_the_task_without_the_patient(self, care: World) -> None:
        await care.relations.write(touch("team:north#rsa@user:omar"))
        omar = await care.page("omar")
        await omar.subscribe("/task/1")
        await care.publish("/task/1", UPDATED)
        await care.revoke("member:A1#care_team@user:omar")
        await care.publish("/task/1", UPDATED)
        (shown,) = await omar.events()
        assert "notes" not in shown["task"]

    async def test_a_broken_source_of_relations_hides_everything_until_it_is_back(self, care: World) -> None:
        sarah = await care.page("sarah")
        await sarah.subscribe("/task/1")
        care.relations.readable = False
        await care.relations.break_stream()
        await care.relations.ended.wait()
        await asyncio.sleep(0)
        assert care.decisions.unready()
        await care.publish("/task/1", UPDATED)
        assert await sarah.events() == []
        assert await sarah.subscribe("/task/2") == "403:/task/2:subscribe_denied"


class TestAudit:
    async def test_it_tells_who_was_shown_phi_and_who_lost_it(self, tmp_path: Path) -> None:
        async with world(tmp_path) as care:
            pages = [await care.page("sarah"), await care.page("sarah"), await care.page("rita", "rsa")]
            for page in pages:
                await page.subscribe("/task/1")
            await care.publish("/task/1", UPDATED)
            await care.publish("/task/1", {"type": "presence.typing", "task_id": "1", "user_id": "sarah"})
        (record,) = audited(tmp_path)
        assert [agent["who"]["identifier"]["value"] for agent in record["agent"]] == ["sarah"]
        assert [entity["what"]["identifier"]["value"] for entity in record["entity"]] == ["A1", "1"]
        assert str(TASK["notes"]) not in json.dumps(record)


class TestPresence:
    async def test_locks_are_for_those_who_may_edit_and_a_broken_glass_is_audited(self, tmp_path: Path) -> None:
        async with world(tmp_path, presence=True) as care:
            omar, rita, sarah = await care.page("omar"), await care.page("rita", "rsa"), await care.page("sarah")
            for page in (omar, rita, sarah):
                assert await page.subscribe("/task/1") is None
                assert [event["type"] for event in await page.events(wait=True)] == ["presence.snapshot"]
            lock = {"type": "lock.acquire", "task_id": "1", "field_name": "notes"}
            assert (await rita.call("/service/presence", lock))["successful"] is False
            assert (await omar.call("/service/presence", lock))["data"]["type"] == "lock.granted"
            glass = {**lock, "type": "lock.take_over", "reason": "Member in danger"}
            assert (await sarah.call("/service/presence", glass))["data"]["type"] == "lock.granted"
        (record,) = [event for event in audited(tmp_path) if event["action"] == "E"]
        assert record["agent"][0]["who"]["identifier"]["value"] == "sarah"


class TestLogs:
    async def test_no_log_line_carries_a_field_that_is_phi(
        self, care: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        structlog.get_logger().info("task.saved", notes="Called John", task=dict(TASK), task_id="1")
        printed = capsys.readouterr()
        assert "task.saved" in printed.out + printed.err
        assert "John" not in printed.out + printed.err
        assert "voicemail" not in printed.out + printed.err

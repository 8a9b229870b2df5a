"""Members, service requests, feeds and notifications."""

import asyncio
from typing import Any

import pytest

from channels.services.pages import cursor_of
from tests.support.care import MIKE, SARAH
from tests.support.care_service import EVE, JOHN, RITA, SERVICE, Care


async def feed(care: Care, user: Any = SARAH, **more: object) -> list[dict[str, Any]]:
    reply = await care.call("activity.list", user, {"team_id": "team_1", **more})
    return list(reply.body["items"])


class TestMembers:
    async def test_are_created_read_and_changed(self, care: Care) -> None:
        created = await care.call("member.create", SARAH, {"name": "Ann Lee", "team_id": "team_1"})
        member_id = created.body["id"]
        assert (created.status, created.body) == (201, {"id": member_id, "name": "Ann Lee", "team_id": "team_1"})
        changed = await care.call("member.update", SARAH, {"member_id": member_id, "name": "Ann Li"})
        assert changed.body["name"] == "Ann Li"
        assert (await care.call("member.get", MIKE, {"member_id": member_id})).body["name"] == "Ann Li"

    async def test_only_a_service_chooses_ids_and_none_that_is_taken(self, care: Care) -> None:
        for operation, body in (
            ("member.create", {"name": "X", "team_id": "team_1"}),
            ("service_request.create", {"name": "X", "member_id": JOHN.id}),
        ):
            assert (await care.call(operation, SARAH, {**body, "id": "A1"})).status == 403
            assert (await care.call(operation, SERVICE, {**body, "id": "A1"})).status == 201
            taken = await care.call(operation, SERVICE, {**body, "id": "A1"})
            assert (taken.status, taken.body["error"]) == (409, "ALREADY_EXISTS")

    async def test_a_team_one_is_not_of_is_refused(self, care: Care) -> None:
        member = {"member_id": JOHN.id, "team_id": "team_2"}
        assert (await care.call("member.update", SARAH, member)).body["field"] == "team_id"

    async def test_only_a_service_creates_members_of_no_team(self, care: Care) -> None:
        assert (await care.call("member.create", SARAH, {"name": "X"})).body["field"] == "team_id"
        assert (await care.call("member.create", SERVICE, {"name": "X"})).status == 201

    async def test_without_phi_rights_there_is_no_member(self, care: Care) -> None:
        for user, member_id in ((RITA, JOHN.id), (EVE, JOHN.id), (SARAH, "A999999"), (SARAH, "A0")):
            assert (await care.call("member.get", user, {"member_id": member_id})).status == 404
            assert (await care.call("member.note", user, {"member_id": member_id, "text": "x"})).status == 404

    @pytest.mark.parametrize(
        ("operation", "body"),
        [
            ("member.create", {"name": "Ann Lee", "team_id": "team_1"}),
            ("service_request.create", {"name": "Ride", "member_id": JOHN.id}),
            ("member.note", {"member_id": JOHN.id, "text": "x"}),
        ],
    )
    async def test_what_is_asked_often_under_one_key_is_done_once(
        self, care: Care, operation: str, body: dict[str, object]
    ) -> None:
        replies = await asyncio.gather(*(care.call(operation, SARAH, body, "key_1") for _ in range(5)))
        assert {reply.status for reply in replies} == {201}
        assert len({reply.body["id"] for reply in replies}) == 1
        assert await care.call(operation, SARAH, body, "key_1") == replies[0]
        reused = await care.call(operation, SARAH, {**body, "name" if "name" in body else "text": "other"}, "key_1")
        assert (reused.status, reused.body["error"]) == (422, "IDEMPOTENCY_KEY_REUSED")

    async def test_a_change_under_a_key_is_made_once(self, care: Care) -> None:
        body = {"member_id": JOHN.id, "name": "Jon Doe"}
        first = await care.call("member.update", SARAH, body, "key_1")
        await care.call("member.update", MIKE, {**body, "name": "John Q. Doe"})
        assert await care.call("member.update", SARAH, body, "key_1") == first
        stored = await care.store.member(JOHN.id)
        assert stored is not None
        assert stored.name == "John Q. Doe"
        reused = await care.call("member.update", SARAH, {**body, "name": "J"}, "key_1")
        assert (reused.status, reused.body["error"]) == (422, "IDEMPOTENCY_KEY_REUSED")

    async def test_who_was_answered_a_member_and_may_see_it_no_more_is_not_answered_it_again(self, care: Care) -> None:
        body = {"name": "Ann Lee", "team_id": "team_1"}
        created = await care.call("member.create", SARAH, body, "key_1")
        care.recorder.shown_ids.clear()
        assert await care.call("member.create", SARAH, body, "key_1") == created
        assert care.recorder.shown_ids == [("cc_456", "member")]
        care.rights.taken.add(("cc_456", "view_phi", "member", created.body["id"]))
        assert (await care.call("member.create", SARAH, body, "key_1")).status == 404


class TestServiceRequests:
    async def test_are_created_read_changed_and_noted(self, care: Care) -> None:
        body = {"member_id": JOHN.id, "name": "Ride to clinic"}
        created = await care.call("service_request.create", SARAH, body)
        request_id = created.body["id"]
        assert created.status == 201
        closed = await care.call(
            "service_request.update", SARAH, {"service_request_id": request_id, "status": "closed"}
        )
        assert closed.body["status"] == "closed"
        again = {"service_request_id": request_id, "status": "open"}
        reopened = await care.call("service_request.update", SARAH, again, "key_1")
        await care.call("service_request.update", SARAH, {**again, "status": "closed"})
        assert await care.call("service_request.update", SARAH, again, "key_1") == reopened
        got = await care.call("service_request.get", MIKE, {"service_request_id": request_id})
        assert got.body == closed.body
        await care.call("service_request.note", MIKE, {"service_request_id": request_id, "text": "Booked"})
        [entry] = await feed(care)
        assert entry["subject"] == {"type": "service_request", "id": request_id, "name": "Ride to clinic"}

    async def test_of_a_member_one_does_not_know_are_not_there(self, care: Care) -> None:
        body = {"member_id": "A999999", "name": "Ride"}
        assert (await care.call("service_request.create", SARAH, body)).body["field"] == "member_id"
        await care.call("service_request.create", SERVICE, {**body, "id": "sr_2"})
        assert (await care.call("service_request.get", SARAH, {"service_request_id": "sr_2"})).status == 404
        assert (await care.call("service_request.get", SARAH, {"service_request_id": "sr_0"})).status == 404


class TestFeed:
    async def test_notes_and_contacts_cause_their_entries(self, care: Care) -> None:
        await care.call("member.note", MIKE, {"member_id": JOHN.id, "text": "n" * 90})
        contact = {"member_id": JOHN.id, "method": "phone", "outcome": "reached", "note": "Will come"}
        assert (await care.call("member.contact", SARAH, contact)).status == 201
        contacted, noted = await feed(care)
        assert (contacted["type"], contacted["action_description"]) == ("member_contacted", "contacted member")
        assert contacted["details"] == {"method": "phone", "outcome": "reached", "note_preview": "Will come"}
        assert noted["details"] == {"note_preview": "n" * 80 + "..."}
        assert await care.events() == ["note_added", "member_contacted"]

    async def test_a_repeated_note_is_added_once(self, care: Care) -> None:
        body = {"member_id": JOHN.id, "text": "x"}
        first = await care.call("member.note", MIKE, body, "key_1")
        assert await care.call("member.note", MIKE, body, "key_1") == first
        assert len(await feed(care)) == 1

    async def test_is_paged_and_filtered(self, care: Care) -> None:
        for _ in range(3):
            await care.task()
        await care.call("member.note", MIKE, {"member_id": JOHN.id, "text": "x"})
        page = (await care.call("activity.list", SARAH, {"team_id": "team_1", "limit": 3})).body
        rest = await feed(care, before=page["next_cursor"])
        assert [each["type"] for each in (*page["items"], *rest)] == ["note_added", *["task_created"] * 3]
        assert [each["type"] for each in await feed(care, type=["note_added"])] == ["note_added"]

    async def test_hidden_entries_leave_no_trace_on_the_pages(self, care: Care) -> None:
        tasks = [await care.task() for _ in range(9)]
        for task_id in tasks[::2]:
            care.rights.taken.add(("cc_789", "view", "task", task_id))
        first = (await care.call("activity.list", MIKE, {"team_id": "team_1", "limit": 3})).body
        assert [each["subject"]["id"] for each in first["items"]] == [tasks[7], tasks[5], tasks[3]]
        rest = await care.call("activity.list", MIKE, {"team_id": "team_1", "limit": 3, "before": first["next_cursor"]})
        assert [each["subject"]["id"] for each in rest.body["items"]] == [tasks[1]]
        assert "next_cursor" not in rest.body

    @pytest.mark.parametrize("entry_id", [7, None, "", "a b", "x\0", "x" * 161])
    @pytest.mark.parametrize(
        ("operation", "body"), [("activity.list", {"team_id": "team_1"}), ("notification.list", {})]
    )
    async def test_a_cursor_that_we_never_gave_is_refused(
        self, care: Care, operation: str, body: dict[str, object], entry_id: object
    ) -> None:
        reply = await care.call(operation, SARAH, {**body, "before": cursor_of({"entry_id": entry_id})})
        assert (reply.status, reply.body["field"], reply.body["rule"]) == (400, "before", "cursor")

    async def test_is_redacted_for_who_has_no_phi_rights(self, care: Care) -> None:
        await care.call("member.note", MIKE, {"member_id": JOHN.id, "text": "secret"})
        [entry] = await feed(care, RITA)
        assert entry["subject"] == {"type": "member"}
        assert "secret" not in str(entry)

    async def test_of_anothers_team_is_not_there(self, care: Care) -> None:
        assert (await care.call("activity.list", SARAH, {"team_id": "team_2"})).status == 404
        assert (await care.call("activity.list", EVE, {"team_id": "team_1"})).status == 404

    async def test_says_you_to_the_assignee(self, care: Care) -> None:
        task_id = await care.task()
        await care.call("task.assign", SARAH, {"task_id": task_id, "assigned_to": "cc_789"})
        assert (await feed(care, MIKE))[0]["action_description"] == "assigned task to you"
        assert (await feed(care, SARAH))[0]["action_description"] == "assigned task"


class TestNotifications:
    async def test_are_listed_counted_and_read(self, care: Care) -> None:
        for _ in range(2):
            await care.task(assigned_to="cc_789", message="Please")
        page = (await care.call("notification.list", MIKE, {})).body
        assert (len(page["items"]), page["unread_count"]) == (2, 2)
        assert page["items"][0]["message"] == "Please"
        assert page["items"][0]["read"] is False
        one = [page["items"][0]["notification_id"]]
        assert (await care.call("notification.read", MIKE, {"notification_ids": one})).body == {"unread_count": 1}
        assert len((await care.call("notification.list", MIKE, {"unread": True})).body["items"]) == 1
        assert (await care.call("notification.read", MIKE, {})).body == {"unread_count": 0}
        assert (await care.events())[-2:] == ["notification.read"] * 2

    async def test_are_read_once_under_a_key_that_is_good_for_one_request(self, care: Care) -> None:
        await care.task(assigned_to="cc_789")
        first = await care.call("notification.read", MIKE, {}, "key_1")
        await care.task(assigned_to="cc_789")
        assert await care.call("notification.read", MIKE, {}, "key_1") == first
        assert (await care.call("notification.list", MIKE, {})).body["unread_count"] == 1
        reused = await care.call("notification.read", MIKE, {"notification_ids": ["notification_1"]}, "key_1")
        assert (reused.status, reused.body["error"]) == (422, "IDEMPOTENCY_KEY_REUSED")

    async def test_are_ones_own(self, care: Care) -> None:
        await care.task(assigned_to="cc_789")
        assert (await care.call("notification.list", SARAH, {})).body == {"items": [], "unread_count": 0}

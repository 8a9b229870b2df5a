"""Members, service requests, feeds and notifications."""

from typing import Any

from tests.support.care import MIKE, SARAH
from tests.support.care_service import EVE, JOHN, RITA, SERVICE, Care


async def feed(care: Care, user: Any = SARAH, **more: object) -> list[dict[str, Any]]:
    reply = await care.call("activity.list", user, {"team_id": "team_1", **more})
    return list(reply.body["items"])


class TestMembers:
    async def test_are_created_read_and_changed(self, care: Care) -> None:
        created = await care.call("member.create", SARAH, {"id": "A1", "name": "Ann Lee", "team_id": "team_1"})
        assert (created.status, created.body) == (201, {"id": "A1", "name": "Ann Lee", "team_id": "team_1"})
        changed = await care.call("member.update", SARAH, {"member_id": "A1", "name": "Ann Li"})
        assert changed.body["name"] == "Ann Li"
        assert (await care.call("member.get", MIKE, {"member_id": "A1"})).body["name"] == "Ann Li"

    async def test_a_taken_id_is_refused(self, care: Care) -> None:
        reply = await care.call("member.create", SARAH, {"id": JOHN.id, "name": "X", "team_id": "team_1"})
        assert (reply.status, reply.body["error"]) == (409, "ALREADY_EXISTS")

    async def test_only_a_service_creates_members_of_no_team(self, care: Care) -> None:
        assert (await care.call("member.create", SARAH, {"name": "X"})).body["field"] == "team_id"
        assert (await care.call("member.create", SERVICE, {"name": "X"})).status == 201

    async def test_without_phi_rights_there_is_no_member(self, care: Care) -> None:
        for user, member_id in ((RITA, JOHN.id), (EVE, JOHN.id), (SARAH, "A999999"), (SARAH, "A0")):
            assert (await care.call("member.get", user, {"member_id": member_id})).status == 404
            assert (await care.call("member.note", user, {"member_id": member_id, "text": "x"})).status == 404

    async def test_creating_twice_under_one_key_creates_once(self, care: Care) -> None:
        body = {"name": "Ann Lee", "team_id": "team_1"}
        first = await care.call("member.create", SARAH, body, "key_1")
        assert await care.call("member.create", SARAH, body, "key_1") == first


class TestServiceRequests:
    async def test_are_created_read_changed_and_noted(self, care: Care) -> None:
        body = {"id": "sr_1", "member_id": JOHN.id, "name": "Ride to clinic"}
        assert (await care.call("service_request.create", SARAH, body)).status == 201
        assert (await care.call("service_request.create", SARAH, body)).status == 409
        closed = await care.call("service_request.update", SARAH, {"service_request_id": "sr_1", "status": "closed"})
        assert closed.body["status"] == "closed"
        got = await care.call("service_request.get", MIKE, {"service_request_id": "sr_1"})
        assert got.body == closed.body
        await care.call("service_request.note", MIKE, {"service_request_id": "sr_1", "text": "Booked"})
        [entry] = await feed(care)
        assert entry["subject"] == {"type": "service_request", "id": "sr_1", "name": "Ride to clinic"}

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

    async def test_are_ones_own(self, care: Care) -> None:
        await care.task(assigned_to="cc_789")
        assert (await care.call("notification.list", SARAH, {})).body == {"items": [], "unread_count": 0}

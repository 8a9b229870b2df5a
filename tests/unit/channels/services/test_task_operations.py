"""Task operations as both faces run them."""

import asyncio

import pytest

from channels.locks.guard import LockMode, Objection, Verdict
from channels.schema import check
from channels.services.pages import cursor_of
from channels.stores.port import VersionMismatchError
from channels.tasks.conflict import Resolution
from tests.support.care import MIKE, SARAH
from tests.support.care_service import EVE, JOHN, RITA, SERVICE, Care

NEW = {"title": "Contact member", "member_id": JOHN.id, "team_id": "team_1"}


class TestCreate:
    async def test_answers_the_task_and_tells_of_it(self, care: Care) -> None:
        reply = await care.call("task.create", SARAH, {**NEW, "assigned_to": "cc_789", "message": "Please"})
        assert (reply.status, reply.version) == (201, 1)
        assert reply.body["member_name"] == "John Doe"
        assert reply.body["assigned_to_name"] == "Mike Chen"
        assert await care.events() == ["task.created", "task_created", "notification.task_assigned"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({**NEW, "member_id": "A0"}, "member_id"),
            ({**NEW, "member_id": "A999999"}, "member_id"),
            ({**NEW, "assigned_to": "cc_1"}, "assigned_to"),
            ({**NEW, "team_id": "team_2"}, "team_id"),
        ],
    )
    async def test_what_is_unknown_and_what_is_hidden_are_refused_alike(
        self, care: Care, body: dict[str, object], field: str
    ) -> None:
        reply = await care.call("task.create", SARAH, body)
        assert (reply.status, reply.body["error"], reply.body["field"]) == (422, "UNKNOWN_REFERENCE", field)

    async def test_a_back_end_service_needs_no_relations(self, care: Care) -> None:
        assert (await care.call("task.create", SERVICE, {**NEW, "team_id": "team_2"})).status == 201

    async def test_an_unknown_field_is_refused(self, care: Care) -> None:
        reply = await care.call("task.create", SARAH, {**NEW, "status": "completed"})
        assert reply.status == 400
        assert reply.body == {
            "error": "INVALID_BODY",
            "message": "status: breaks additionalProperties of body.task.create, found string",
            "field": "status",
            "rule": "additionalProperties",
            "value_type": "string",
        }


class TestUpdate:
    async def test_needs_a_version(self, care: Care) -> None:
        task_id = await care.task()
        reply = await care.call("task.update", SARAH, {"task_id": task_id, "changes": {"notes": "x"}})
        assert (reply.status, reply.body["error"]) == (428, "VERSION_REQUIRED")

    async def test_answers_the_new_version(self, care: Care) -> None:
        task_id = await care.task()
        reply = await care.call("task.update", SARAH, {"task_id": task_id, "version": 1, "changes": {"notes": "x"}})
        assert (reply.status, reply.version, reply.body["notes"]) == (200, 2, "x")

    async def test_that_changes_nothing_writes_nothing(self, care: Care) -> None:
        task_id = await care.task(notes="x")
        await care.events()
        reply = await care.call("task.update", SARAH, {"task_id": task_id, "version": 1, "changes": {"notes": "x"}})
        assert (reply.status, reply.version) == (200, 1)
        assert await care.events() == []

    async def test_on_an_old_version_answers_the_conflict_with_its_merge(self, care: Care) -> None:
        task_id = await care.task()
        await care.call("task.update", MIKE, {"task_id": task_id, "version": 1, "changes": {"priority": "urgent"}})
        reply = await care.call("task.update", SARAH, {"task_id": task_id, "version": 1, "changes": {"notes": "x"}})
        assert reply.status == 409
        assert (reply.body["current_version"], reply.body["expected_version"]) == (2, 1)
        assert reply.body["current_task"]["last_modified_by"] == "cc_789"
        assert reply.body["merged_task"]["notes"] == "x"
        assert reply.body["merged_task"]["priority"] == "urgent"
        assert care.recorder.counted == {"detected": 1}

    @pytest.mark.parametrize("resolution", ["keep_mine", "merge"])
    async def test_that_resolves_a_conflict_is_recorded_and_counted(self, care: Care, resolution: str) -> None:
        task_id, conflict_id = await self.conflict(care)
        body = {
            "task_id": task_id,
            "version": 2,
            "changes": {"notes": "mine"},
            "resolution": resolution,
            "conflict_id": conflict_id,
        }
        assert (await care.call("task.update", SARAH, body)).status == 200
        newest = (await care.call("task.versions", SARAH, {"task_id": task_id})).body["items"][0]
        assert (newest["resolution"], newest["conflict_id"]) == (resolution, conflict_id)
        assert care.recorder.counted[resolution] == 1
        assert (await care.call("task.update", SARAH, {**body, "version": 3})).body["field"] == "conflict_id"

    async def test_keeping_theirs_records_it_without_a_new_version(self, care: Care) -> None:
        task_id, conflict_id = await self.conflict(care)
        body = {
            "task_id": task_id,
            "version": 2,
            "changes": {},
            "resolution": "keep_theirs",
            "conflict_id": conflict_id,
        }
        reply = await care.call("task.update", SARAH, body)
        assert (reply.status, reply.version, reply.body["notes"]) == (200, 2, "theirs")
        stored = await care.store.conflict(conflict_id)
        assert stored is not None
        assert stored.resolution is Resolution.KEEP_THEIRS
        newest = (await care.call("task.versions", SARAH, {"task_id": task_id})).body["items"][0]
        assert [each["conflict_id"] for each in newest["kept_over"]] == [conflict_id]
        assert care.recorder.counted["keep_theirs"] == 1

    @pytest.mark.parametrize(
        ("operation", "wish"),
        [
            ("task.assign", {"assigned_to": "cc_789"}),
            ("task.complete", {"completion_notes": "mine"}),
            ("task.delete", {}),
        ],
    )
    async def test_whatever_conflicted_may_be_insisted_on(
        self, care: Care, operation: str, wish: dict[str, object]
    ) -> None:
        body = {"task_id": await care.task(), "version": 1, **wish}
        theirs = {"status": "in_progress", "completion_notes": "theirs"}
        await care.call("task.update", MIKE, {"task_id": body["task_id"], "version": 1, "changes": theirs})
        conflict = (await care.call(operation, SARAH, body)).body
        answer = {"resolution": "keep_mine", "conflict_id": conflict["conflict_id"]}
        assert (await care.call(operation, SARAH, {**body, "version": 2, **answer})).status == 200
        newest = (await care.call("task.versions", SARAH, {"task_id": body["task_id"]})).body["items"][0]
        assert (newest["version"], newest["resolution"]) == (3, "keep_mine")
        assert care.recorder.counted["keep_mine"] == 1

    async def test_anothers_conflict_cannot_be_resolved(self, care: Care) -> None:
        task_id, conflict_id = await self.conflict(care)
        body = {
            "task_id": task_id,
            "version": 2,
            "changes": {},
            "resolution": "merge",
            "conflict_id": conflict_id,
        }
        assert (await care.call("task.update", MIKE, body)).body["field"] == "conflict_id"

    async def test_to_a_team_one_is_not_of_is_refused(self, care: Care) -> None:
        task_id = await care.task()
        body = {"task_id": task_id, "version": 1, "changes": {"team_id": "team_2"}}
        assert (await care.call("task.update", SARAH, body)).body["field"] == "changes.team_id"

    async def test_a_field_locked_by_another_is_refused_with_the_holder(self, care: Care) -> None:
        task_id = await care.task()
        care.recorder.verdict = Verdict(LockMode.ENFORCED, (Objection("notes", "held", "cc_789", "Mike Chen"),))
        body = {"task_id": task_id, "version": 1, "changes": {"notes": "x"}, "fencing_tokens": {"notes": 4}}
        reply = await care.call("task.update", SARAH, body)
        assert (reply.status, reply.body["error"]) == (409, "LOCKED")
        assert reply.body["holder"] == {"user_id": "cc_789", "user_name": "Mike Chen"}
        assert care.recorder.intents[0].fields == frozenset({"notes"})
        assert care.recorder.intents[0].tokens == {"notes": 4}

    async def test_a_field_with_an_advisory_lock_is_written_with_a_warning(self, care: Care) -> None:
        task_id = await care.task()
        care.recorder.verdict = Verdict(LockMode.ADVISORY, (Objection("notes", "held", "cc_789", "Mike Chen"),))
        body = {"task_id": task_id, "version": 1, "changes": {"notes": "x"}}
        reply = await care.call("task.update", SARAH, body)
        assert (reply.status, reply.body["notes"], reply.version) == (200, "x", 2)
        assert reply.body["lock_warnings"] == [
            {"field_name": "notes", "reason": "held", "user_id": "cc_789", "user_name": "Mike Chen"}
        ]

    async def test_on_a_version_that_never_was_conflicts_without_a_merge(self, care: Care) -> None:
        """A client of another copy of the data, such as before a restore, must see what there is."""
        body = {"task_id": await care.task(notes="ours"), "version": 7, "changes": {"notes": "from another world"}}
        reply = await care.call("task.update", SARAH, body)
        check("conflict", {name: list(v) if isinstance(v, tuple) else v for name, v in reply.body.items()})
        assert (reply.status, reply.body["current_version"], reply.body["expected_version"]) == (409, 1, 7)
        assert (reply.body["current_task"]["notes"], reply.body["mergeable"]) == ("ours", False)
        assert (reply.body["your_changed_fields"], reply.body["conflicting_fields"]) == (("notes",), ("notes",))
        assert not {"base_task", "merged_task"} & set(reply.body)

    async def conflict(self, care: Care) -> tuple[str, str]:
        """Let Mike and then Sarah change the notes of version 1."""
        task_id = await care.task()
        body = {"task_id": task_id, "version": 1, "changes": {"notes": "theirs"}}
        await care.call("task.update", MIKE, body)
        reply = await care.call("task.update", SARAH, {**body, "changes": {"notes": "mine"}})
        assert reply.body["conflicting_fields"] == ("notes",)
        return task_id, reply.body["conflict_id"]


class TestAssignCompleteDelete:
    async def test_need_no_version(self, care: Care) -> None:
        task_id = await care.task()
        await care.events()
        assigned = await care.call("task.assign", SARAH, {"task_id": task_id, "assigned_to": "cc_789", "reason": "R"})
        assert (assigned.body["assigned_to"], assigned.body["reason"], assigned.version) == ("cc_789", "R", 2)
        done = await care.call("task.complete", MIKE, {"task_id": task_id, "completion_notes": "Done"})
        assert (done.body["status"], done.body["completion_notes"], done.version) == ("completed", "Done", 3)
        gone = await care.call("task.delete", MIKE, {"task_id": task_id})
        assert (gone.body["status"], gone.version) == ("deleted", 4)
        assert [each for each in await care.events() if each.startswith("task.")] == [
            "task.assigned",
            "task.completed",
            "task.deleted",
        ]

    async def test_with_an_old_version_conflict(self, care: Care) -> None:
        task_id = await care.task()
        await care.call("task.assign", MIKE, {"task_id": task_id, "assigned_to": "cc_789"})
        reply = await care.call("task.assign", SARAH, {"task_id": task_id, "assigned_to": "cc_456", "version": 1})
        assert (reply.status, reply.body["conflicting_fields"]) == (409, ("assigned_to",))

    @pytest.mark.parametrize(
        ("operation", "field_name", "value"),
        [("task.complete", "completion_notes", "Done"), ("task.assign", "assigned_to", "cc_789")],
    )
    async def test_show_their_fencing_tokens_to_the_locks(
        self, care: Care, operation: str, field_name: str, value: str
    ) -> None:
        task_id = await care.task()
        care.recorder.verdict = Verdict(LockMode.ENFORCED, (Objection(field_name, "old_token"),))
        body = {"task_id": task_id, field_name: value, "fencing_tokens": {field_name: 4}}
        reply = await care.call(operation, SARAH, body)
        assert (reply.status, reply.body["error"], reply.body["message"]) == (409, "LOCKED", "The lock was lost")
        assert field_name in (care.recorder.intents[0].fields or ())
        assert care.recorder.intents[0].tokens == {field_name: 4}
        assert (await care.call("task.get", SARAH, {"task_id": task_id})).version == 1

    async def test_a_task_is_not_deleted_under_the_hands_of_who_edits_it(self, care: Care) -> None:
        task_id = await care.task()
        care.recorder.verdict = Verdict(LockMode.ENFORCED, (Objection("notes", "held", "cc_789", "Mike Chen"),))
        reply = await care.call("task.delete", SARAH, {"task_id": task_id})
        assert (reply.status, reply.body["error"]) == (409, "LOCKED")
        assert care.recorder.intents[0].fields is None
        assert (await care.call("task.get", SARAH, {"task_id": task_id})).version == 1

    async def test_a_completed_task_is_not_completed_again(self, care: Care) -> None:
        task_id = await care.task()
        await care.call("task.complete", SARAH, {"task_id": task_id})
        reply = await care.call("task.complete", MIKE, {"task_id": task_id})
        assert (reply.status, reply.body["error"]) == (409, "INVALID_TRANSITION")

    async def test_of_many_that_complete_one_does(self, care: Care) -> None:
        task_id = await care.task()
        replies = await asyncio.gather(*(care.call("task.complete", SARAH, {"task_id": task_id}) for _ in range(6)))
        assert sorted(reply.status for reply in replies) == [200, 409, 409, 409, 409, 409]

    async def test_a_task_that_changes_faster_than_one_can_follow_is_left_alone(
        self, care: Care, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task_id = await care.task()

        async def outrun(_commit: object) -> None:
            raise VersionMismatchError

        monkeypatch.setattr(care.store, "commit", outrun)
        reply = await care.call("task.complete", SARAH, {"task_id": task_id})
        assert (reply.status, reply.body["error"]) == (409, "BUSY")

    async def test_nobody_finds_a_deleted_task(self, care: Care) -> None:
        task_id = await care.task()
        await care.call("task.delete", SARAH, {"task_id": task_id})
        assert (await care.call("task.get", SARAH, {"task_id": task_id})).status == 404
        assert (await care.call("task.delete", SARAH, {"task_id": task_id})).status == 404
        assert (await care.call("task.list", SARAH, {})).body == {"items": []}
        late = await care.call("task.update", SARAH, {"task_id": task_id, "version": 1, "changes": {"notes": "x"}})
        assert (late.status, late.body["current_task"]["status"]) == (409, "deleted")

    @pytest.mark.parametrize(
        ("operation", "more"),
        [
            ("task.update", {"changes": {"notes": "x"}}),
            ("task.assign", {"assigned_to": "cc_789"}),
            ("task.complete", {}),
            ("task.delete", {}),
        ],
    )
    async def test_a_deleted_task_is_said_to_be_deleted_to_who_knows_its_last_version(
        self, care: Care, operation: str, more: dict[str, object]
    ) -> None:
        task_id = await care.task()
        await care.call("task.delete", SARAH, {"task_id": task_id})
        body = {"task_id": task_id, "version": 2, **more}
        reply = await care.call(operation, SARAH, body)
        assert (reply.status, reply.body) == (409, {"error": "INVALID_TRANSITION", "message": "The task was deleted"})
        assert (await care.call(operation, EVE, body)).status == 404

    async def test_who_finds_the_task_deleted_may_leave_it_so(self, care: Care) -> None:
        task_id = await care.task()
        await care.call("task.delete", MIKE, {"task_id": task_id})
        body = {"task_id": task_id, "version": 1, "changes": {"notes": "mine"}}
        conflict = (await care.call("task.update", SARAH, body)).body
        assert (conflict["mergeable"], conflict["current_task"]["status"]) == (False, "deleted")
        answer = {"resolution": "keep_theirs", "conflict_id": conflict["conflict_id"]}
        reply = await care.call("task.update", SARAH, {**body, "version": 2, "changes": {}, **answer})
        assert (reply.status, reply.version, reply.body["status"]) == (200, 2, "deleted")
        assert care.recorder.counted["keep_theirs"] == 1


class TestIdempotency:
    async def test_a_repeated_request_has_one_effect_and_one_answer(self, care: Care) -> None:
        first = await care.call("task.create", SARAH, NEW, "key_1")
        again = await care.call("task.create", SARAH, dict(reversed(NEW.items())), "key_1")
        assert again == first
        assert await care.events() == ["task.created", "task_created"]

    async def test_requests_that_race_have_one_effect(self, care: Care) -> None:
        replies = await asyncio.gather(*(care.call("task.create", SARAH, NEW, "key_1") for _ in range(5)))
        assert len({reply.body["id"] for reply in replies}) == 1
        assert await care.events() == ["task.created", "task_created"]

    async def test_a_change_that_is_repeated_after_others_is_answered_as_it_was(self, care: Care) -> None:
        task_id = await care.task()
        body = {"task_id": task_id, "version": 1, "changes": {"notes": "x"}}
        first = await care.call("task.update", SARAH, body, "key_1")
        await care.call("task.complete", MIKE, {"task_id": task_id})
        assert await care.call("task.update", SARAH, body, "key_1") == first

    async def test_a_key_is_good_for_one_request_only(self, care: Care) -> None:
        await care.call("task.create", SARAH, NEW, "key_1")
        reply = await care.call("task.create", SARAH, {**NEW, "title": "Other"}, "key_1")
        assert (reply.status, reply.body["error"]) == (422, "IDEMPOTENCY_KEY_REUSED")

    async def test_a_refused_request_leaves_the_key_free(self, care: Care) -> None:
        await care.call("task.create", SARAH, {**NEW, "member_id": "A0"}, "key_1")
        assert (await care.call("task.create", SARAH, NEW, "key_1")).status == 201

    async def test_what_may_be_seen_no_more_is_not_repeated(self, care: Care) -> None:
        first = await care.call("task.create", SARAH, NEW, "key_1")
        care.rights.taken.add(("cc_456", "view", "task", first.body["id"]))
        assert (await care.call("task.create", SARAH, NEW, "key_1")).status == 404


class TestWhoSeesWhat:
    async def test_a_hidden_task_and_none_are_answered_alike(self, care: Care) -> None:
        task_id = await care.task()
        for operation, more in (
            ("task.get", {}),
            ("task.update", {"version": 1, "changes": {"notes": "x"}}),
            ("task.assign", {"assigned_to": None}),
            ("task.complete", {}),
            ("task.delete", {}),
            ("task.versions", {}),
        ):
            hidden = await care.call(operation, EVE, {"task_id": task_id, **more})
            none = await care.call(operation, SARAH, {"task_id": "task_0", **more})
            assert (hidden.status, hidden.body) == (none.status, none.body)
            assert hidden.status == 404

    async def test_who_has_no_phi_rights_gets_the_redacted_form(self, care: Care) -> None:
        task_id = await care.task(notes="secret")
        reply = await care.call("task.get", RITA, {"task_id": task_id})
        assert reply.status == 200
        assert reply.body["status"] == "pending"
        assert not {"title", "notes", "member_id", "member_name"} & set(reply.body)
        assert ("rsa_1", "task") not in care.recorder.shown_ids

    async def test_who_may_only_see_may_not_change(self, care: Care) -> None:
        task_id = await care.task()
        reply = await care.call("task.complete", RITA, {"task_id": task_id})
        assert (reply.status, reply.body["error"]) == (403, "FORBIDDEN")

    async def test_a_checker_that_cannot_answer_means_no(self, care: Care) -> None:
        task_id = await care.task()
        care.rights.failing = True
        assert (await care.call("task.get", SARAH, {"task_id": task_id})).status == 404
        assert (await care.call("task.list", SARAH, {})).body == {"items": []}

    async def test_what_is_shown_in_full_is_told_before(self, care: Care) -> None:
        task_id = await care.task()
        care.recorder.shown_ids.clear()
        await care.call("task.get", MIKE, {"task_id": task_id})
        assert care.recorder.shown_ids == [("cc_789", "task")]


class TestList:
    async def test_hidden_tasks_leave_no_trace_on_the_pages(self, care: Care) -> None:
        tasks = [await care.task(title=f"Title {number}") for number in range(9)]
        for task_id in tasks[::2]:
            care.rights.taken.add(("cc_789", "view", "task", task_id))
        seen: list[str] = []
        body: dict[str, object] = {"limit": 2, "sort": "created_at"}
        lengths = []
        while True:
            page = (await care.call("task.list", MIKE, body)).body
            seen += [task["id"] for task in page["items"]]
            lengths.append(len(page["items"]))
            if "next_cursor" not in page:
                break
            body["cursor"] = page["next_cursor"]
        assert sorted(seen) == sorted(tasks[1::2])
        assert lengths == [2, 2]

    async def test_filtering_by_a_member_needs_rights_on_the_member(self, care: Care) -> None:
        await care.task()
        assert len((await care.call("task.list", MIKE, {"member_id": JOHN.id})).body["items"]) == 1
        assert (await care.call("task.list", RITA, {"member_id": JOHN.id})).body == {"items": []}

    @pytest.mark.parametrize("cursor", ["x", "AAAA", "eyJ0YXNrX2lkIjogN30"])
    async def test_a_cursor_that_is_none_is_refused(self, care: Care, cursor: str) -> None:
        reply = await care.call("task.list", SARAH, {"cursor": cursor})
        assert (reply.status, reply.body["field"], reply.body["rule"]) == (400, "cursor", "cursor")

    @pytest.mark.parametrize(
        ("sort", "value"),
        [
            ("due_date", 5), ("due_date", None), ("due_date", "2025-11-15\0"), ("created_at", "John Doe"),
            ("priority", "high"), ("priority", 4), ("priority", -1), ("priority", 2**70), ("title", 5),
        ],
    )  # fmt: skip
    async def test_a_cursor_with_a_value_we_never_gave_is_refused(self, care: Care, sort: str, value: object) -> None:
        cursor = cursor_of({"task_id": await care.task(), "value": value})
        reply = await care.call("task.list", SARAH, {"sort": sort, "cursor": cursor})
        assert (reply.status, reply.body["field"], reply.body["rule"]) == (400, "cursor", "cursor")

    async def test_a_made_up_cursor_does_not_tell_of_a_hidden_task(self, care: Care) -> None:
        """Neither whether there is one nor where its title stands among those one sees."""
        await care.task(title="B")
        hidden = await care.task(title="A")
        care.rights.taken.add(("cc_789", "view", "task", hidden))
        replies = [
            await care.call("task.list", MIKE, {"sort": "title", "cursor": cursor_of({"task_id": task_id})})
            for task_id in (hidden, "task_999")
        ]
        assert replies[0] == replies[1]
        assert replies[0].status == 400

    @pytest.mark.parametrize("limit", [1, 2, 3, 50])
    @pytest.mark.parametrize("titles", [("A", "Z"), ("Z", "A")])
    async def test_the_order_of_titles_tells_nothing_of_those_one_may_not_see(
        self, care: Care, titles: tuple[str, str], limit: int
    ) -> None:
        hidden = []
        for title in titles:
            care.clock.seconds += 1
            body = {"title": title, "member_id": "A999999", "team_id": "team_1"}
            hidden.append((await care.call("task.create", SERVICE, body)).body["id"])
        shown = [await care.task(title=title) for title in ("B", "C")]
        assert await self.pages(care, {"sort": "title", "order": "asc", "limit": limit}) == [*shown, *hidden]
        assert await self.pages(care, {"sort": "title", "order": "desc", "limit": limit}) == [
            *reversed(shown),
            *reversed(hidden),
        ]

    async def test_a_made_up_cursor_does_not_tell_where_a_title_stands_that_one_may_not_see(self, care: Care) -> None:
        body = {"title": "A", "member_id": "A999999", "team_id": "team_1"}
        hidden = (await care.call("task.create", SERVICE, body)).body["id"]
        reply = await care.call("task.list", SARAH, {"sort": "title", "cursor": cursor_of({"task_id": hidden})})
        assert (reply.status, reply.body["field"]) == (400, "cursor")

    async def pages(self, care: Care, body: dict[str, object]) -> list[str]:
        """Return the ids on all pages of a list, as Sarah sees it."""
        page = (await care.call("task.list", SARAH, body)).body
        ids = [task["id"] for task in page["items"]]
        if "next_cursor" not in page:
            return ids
        return ids + await self.pages(care, {**body, "cursor": page["next_cursor"]})

    async def test_a_cursor_carries_no_title(self, care: Care) -> None:
        for number in range(3):
            await care.task(title=f"Title {number}")
        page = (await care.call("task.list", SARAH, {"limit": 1, "sort": "title"})).body
        rest = (await care.call("task.list", SARAH, {"sort": "title", "cursor": page["next_cursor"]})).body
        assert [task["title"] for task in (*page["items"], *rest["items"])] == ["Title 0", "Title 1", "Title 2"]
        assert "VGl0bGU" not in page["next_cursor"]


class TestReplies:
    async def test_a_task_and_a_conflict_are_what_their_schemas_say(self, care: Care) -> None:
        task_id = await care.task()
        body = {"task_id": task_id, "version": 1, "changes": {"notes": "x"}}
        check("task", (await care.call("task.update", SARAH, body)).body)
        conflict = await care.call("task.update", SARAH, {**body, "changes": {"notes": "y"}})
        check("conflict", {name: list(v) if isinstance(v, tuple) else v for name, v in conflict.body.items()})

    async def test_an_operation_that_is_not_there_is_our_mistake(self, care: Care) -> None:
        with pytest.raises(KeyError):
            await care.call("task.explode", SARAH, {})

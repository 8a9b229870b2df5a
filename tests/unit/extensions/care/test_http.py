"""The operations over HTTP: status, headers and body of every kind of request and refusal."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest

from bayeux_server.errors import RemoteError
from channels.schema import check
from tests.support.care_world import EAST, EVE, JOHN, KEY, MIKE, RITA, SARAH, SERVICE, CareWorld, token_of
from tests.support.manual_clock import START_WALL_S
from tests.support.server import ALLOWED_ORIGIN
from tests.support.tokens import SigningKey

PHI = ("title", "notes", "member_id", "member_name")


class TestTasks:
    async def test_live_from_creation_to_deletion(self, world: CareWorld) -> None:
        task = await world.task(notes="Left voicemail")
        check("task", task)
        read = await world.ask("GET", f"/api/tasks/{task['id']}")
        assert (read.status, read.body, read.headers["ETag"]) == (200, task, '"1"')
        changed = await world.change(task, status="in_progress")
        assert (changed["status"], changed["version"]) == ("in_progress", 2)
        assigned = await world.ask("POST", f"/api/tasks/{task['id']}/assign", body={"assigned_to": RITA.user_id})
        assert (assigned.status, assigned.body["assigned_to_name"]) == (200, "Rita Stone")
        done = await world.ask(
            "POST", f"/api/tasks/{task['id']}/complete", body={"completion_notes": "Reached"}, If_Match='"3"'
        )
        assert (done.status, done.body["status"], done.headers["ETag"]) == (200, "completed", '"4"')
        gone = await world.ask("DELETE", f"/api/tasks/{task['id']}", If_Match='"4"')
        assert (gone.status, gone.body["status"]) == (200, "deleted")
        assert (await world.ask("GET", f"/api/tasks/{task['id']}")).status == 404
        versions = await world.ask("GET", f"/api/tasks/{task['id']}/versions?limit=2")
        assert [each["version"] for each in versions.body["items"]] == [5, 4]
        older = await world.ask("GET", f"/api/tasks/{task['id']}/versions?limit=2&before=4")
        assert [each["version"] for each in older.body["items"]] == [3, 2]

    async def test_are_listed_by_filters_in_order_and_by_pages(self, world: CareWorld) -> None:
        for title, priority in (("b", "low"), ("a", "high"), ("c", "low")):
            await world.task(title=title, priority=priority)
        first = await world.ask("GET", f"/api/tasks?team_id={EAST}&sort=title&order=asc&limit=2")
        assert [each["title"] for each in first.body["items"]] == ["a", "b"]
        rest = await world.ask(
            "GET", f"/api/tasks?team_id={EAST}&sort=title&order=asc&limit=2&cursor={first.body['next_cursor']}"
        )
        assert ([each["title"] for each in rest.body["items"]], "next_cursor" in rest.body) == (["c"], False)
        several = await world.ask("GET", "/api/tasks?priority=low&priority=urgent&sort=title&order=asc")
        assert [each["title"] for each in several.body["items"]] == ["b", "c"]

    async def test_are_redacted_for_who_has_no_rights_to_phi(self, world: CareWorld) -> None:
        task = await world.task(notes="Left voicemail")
        for answer in (
            await world.ask("GET", f"/api/tasks/{task['id']}", RITA),
            await world.ask("GET", f"/api/tasks/{task['id']}/versions", RITA),
            await world.ask("GET", "/api/tasks", RITA),
        ):
            shown = answer.body.get("items", [answer.body])[0]
            shown = shown.get("values", shown)
            assert (answer.status, shown["redacted"], set(PHI) & set(shown)) == (200, True, set())

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "", None),
            ("GET", "/versions", None),
            ("PATCH", "", {"version": 1, "changes": {"notes": "x"}}),
            ("POST", "/assign", {"assigned_to": "cc_eve"}),
            ("POST", "/complete", {}),
            ("DELETE", "", None),
        ],
    )
    async def test_that_are_hidden_answer_as_those_that_do_not_exist(
        self, world: CareWorld, method: str, path: str, body: Any
    ) -> None:
        task = await world.task()
        hidden = await world.ask(method, f"/api/tasks/{task['id']}{path}", EVE, body)
        absent = await world.ask(method, f"/api/tasks/task_absent{path}", EVE, body)
        assert hidden[:2] == absent[:2] == (404, hidden.body)
        assert hidden.body == {"error": "NOT_FOUND", "message": "There is no such thing, or you may not see it"}

    async def test_that_may_be_seen_but_not_changed_are_forbidden(self, world: CareWorld) -> None:
        task = await world.task()
        answer = await world.ask("PATCH", f"/api/tasks/{task['id']}", RITA, {"version": 1, "changes": {"notes": "x"}})
        assert (answer.status, answer.body["error"]) == (403, "FORBIDDEN")


class TestLocks:
    @pytest.mark.parametrize(
        ("path", "body", "field_name"),
        [
            ("/complete", {"completion_notes": "Reached"}, "completion_notes"),
            ("/assign", {"assigned_to": MIKE.user_id}, "assigned_to"),
        ],
    )
    async def test_a_write_under_an_old_token_is_refused(
        self, world: CareWorld, path: str, body: dict[str, Any], field_name: str
    ) -> None:
        task = await world.task()
        old, new = [await token(world, task["id"], field_name) for _ in range(2)]
        url = f"/api/tasks/{task['id']}{path}"
        refused = await world.ask("POST", url, body={**body, "fencing_tokens": {field_name: old}})
        assert (refused.status, refused.body["error"]) == (409, "LOCKED")
        assert refused.body["locked_fields"] == [{"field_name": field_name, "reason": "old_token"}]
        written = await world.ask("POST", url, body={**body, "fencing_tokens": {field_name: new}})
        assert (written.status, written.body["version"]) == (200, 2)


async def token(world: CareWorld, task_id: str, field_name: str) -> int:
    """Lock a field in one more tab of Sarah's, and return the lock's token: of her tabs the last has it."""
    page = await world.page(SARAH, f"/task/{task_id}")
    data = {"type": "lock.acquire", "task_id": task_id, "field_name": field_name}
    return int((await world.call(page, "/service/presence", data))["data"]["token"])


class TestVersions:
    @pytest.mark.parametrize("tag", ['"1"', 'W/"1"', ' "1" '])
    async def test_an_etag_names_the_version(self, world: CareWorld, tag: str) -> None:
        task = await world.task()
        answer = await world.ask("PATCH", f"/api/tasks/{task['id']}", body={"changes": {"notes": "x"}}, If_Match=tag)
        assert (answer.status, answer.headers["ETag"]) == (200, '"2"')

    async def test_without_one_a_change_is_refused(self, world: CareWorld) -> None:
        task = await world.task()
        answer = await world.ask("PATCH", f"/api/tasks/{task['id']}", body={"changes": {"notes": "x"}})
        assert (answer.status, answer.body["error"]) == (428, "VERSION_REQUIRED")

    @pytest.mark.parametrize("tag", ["1", "*", '"one"', '"1", "2"', '"0"', "", '"2"'])
    async def test_one_that_is_no_version_or_another_than_the_bodys_is_refused(
        self, world: CareWorld, tag: str
    ) -> None:
        task = await world.task()
        body = {"changes": {"notes": "x"}, "version": 1}
        answer = await world.ask("PATCH", f"/api/tasks/{task['id']}", body=body, If_Match=tag)
        assert (answer.status, answer.body["field"]) == (400, "If-Match")

    async def test_an_old_one_is_a_conflict_that_offers_a_merge(self, world: CareWorld) -> None:
        task = await world.task(notes="first")
        await world.change(task, notes="second")
        body = {"changes": {"priority": "urgent"}, "version": 1}
        answer = await world.ask("PATCH", f"/api/tasks/{task['id']}", body=body)
        assert answer.status == 409
        check("conflict", answer.body)
        conflict = answer.body
        assert (conflict["error"], conflict["current_version"], conflict["expected_version"]) == ("CONFLICT", 2, 1)
        assert (conflict["current_task"]["notes"], conflict["base_task"]["notes"]) == ("second", "first")
        assert (conflict["your_changed_fields"], conflict["their_changed_fields"]) == (["priority"], ["notes"])
        assert (conflict["mergeable"], conflict["merged_task"]["priority"]) == (True, "urgent")
        resolved = await world.ask(
            "PATCH",
            f"/api/tasks/{task['id']}",
            body={"changes": body["changes"], "resolution": "merge", "conflict_id": conflict["conflict_id"]},
            If_Match='"2"',
        )
        assert (resolved.status, resolved.body["priority"], resolved.body["notes"]) == (200, "urgent", "second")
        versions = (await world.ask("GET", f"/api/tasks/{task['id']}/versions")).body["items"]
        assert versions[0]["resolution"] == "merge"


class TestIdempotencyKeys:
    async def test_a_repeated_request_has_one_effect_and_one_answer(self, world: CareWorld) -> None:
        body = {"title": "Once", "member_id": JOHN.id, "team_id": EAST}
        first = await world.ask("POST", "/api/tasks", body=body, Idempotency_Key="k1")
        again = await world.ask("POST", "/api/tasks", body=body, Idempotency_Key="k1")
        assert first[:2] == again[:2]
        assert len((await world.ask("GET", "/api/tasks")).body["items"]) == 1

    async def test_a_change_by_etag_is_repeated_too(self, world: CareWorld) -> None:
        task = await world.task()
        answers = [
            await world.ask(
                "PATCH",
                f"/api/tasks/{task['id']}",
                body={"changes": {"notes": "x"}},
                If_Match='"1"',
                Idempotency_Key="k1",
            )
            for _ in range(2)
        ]
        assert [(each.status, each.headers["ETag"]) for each in answers] == [(200, '"2"')] * 2

    async def test_another_body_under_the_same_key_is_refused(self, world: CareWorld) -> None:
        body = {"title": "Once", "member_id": JOHN.id, "team_id": EAST}
        await world.ask("POST", "/api/tasks", body=body, Idempotency_Key="k1")
        other = await world.ask("POST", "/api/tasks", body={**body, "title": "Twice"}, Idempotency_Key="k1")
        assert (other.status, other.body["error"]) == (422, "IDEMPOTENCY_KEY_REUSED")

    @pytest.mark.parametrize(("key", "rule"), [("", "minLength"), ("k" * 256, "maxLength")])
    async def test_one_of_no_or_too_many_characters_is_refused(self, world: CareWorld, key: str, rule: str) -> None:
        answer = await world.ask(
            "POST", "/api/tasks", body={"title": "Once", "member_id": JOHN.id}, Idempotency_Key=key
        )
        assert (answer.status, answer.body["field"], answer.body["rule"]) == (400, "Idempotency-Key", rule)


def _unsigned() -> str:
    claims = jwt.decode(token_of(SARAH), options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none", headers={"kid": KEY.kid})


#: The reason that is told, and how to make such a token.
BAD_TOKENS: dict[str, Callable[[], str]] = {
    "token_malformed": lambda: "sarah",
    "token_algorithm_refused": _unsigned,
    "token_audience_wrong": lambda: token_of(SARAH, aud="another-app"),
    "token_issuer_unknown": lambda: token_of(SARAH, iss="https://evil.example"),
    "token_key_unknown": lambda: SigningKey("another").token(SARAH.user_id),
    "token_signature_invalid": lambda: SigningKey(KEY.kid).token(SARAH.user_id),
    "token_expired": lambda: token_of(SARAH, exp=START_WALL_S - 3_600),
    "token_not_yet_valid": lambda: token_of(SARAH, nbf=START_WALL_S + 3_600),
    "token_claim_missing": lambda: token_of(SARAH, sub=None),
    "role_missing": lambda: token_of(SARAH, roles=["visitor"]),
}


class TestTokens:
    @pytest.mark.parametrize("reason", BAD_TOKENS)
    async def test_a_bad_one_opens_nothing_and_hears_why(self, world: CareWorld, reason: str) -> None:
        answer = await world.ask("GET", "/api/tasks", None, Authorization=f"Bearer {BAD_TOKENS[reason]()}")
        check("error", answer.body)
        assert (answer.status, answer.body["error"], answer.body["reason"]) == (401, "UNAUTHENTICATED", reason)
        challenge = f'Bearer error="invalid_token", error_description="{reason}"'
        assert answer.headers["WWW-Authenticate"] == challenge

    async def test_one_that_cannot_be_judged_now_may_be_tried_again(self, world: CareWorld) -> None:
        async def away(_token: str) -> None:
            raise RemoteError(503, (), "token_keys_unavailable")

        world.server.app._token_readers[:] = [away]
        answer = await world.ask("GET", "/api/tasks")
        assert (answer.status, answer.body["error"], answer.headers["Retry-After"]) == (503, "UNAVAILABLE", "1")

    async def test_none_at_all_opens_nothing(self, world: CareWorld) -> None:
        answer = await world.ask("GET", "/api/tasks", None)
        assert (answer.status, answer.body["reason"]) == (401, "token_missing")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "field", "rule", "value_type"),
        [
            ({"title": "T", "member_id": "A1", "colour": "red"}, "colour", "additionalProperties", "string"),
            ({"title": "T"}, "member_id", "required", "missing"),
            ({"title": 5, "member_id": "A1"}, "title", "type", "integer"),
            ({"title": "T", "member_id": "a b"}, "member_id", "pattern", "string"),
            ({"title": "T", "member_id": "A1", "priority": "huge"}, "priority", "enum", "string"),
            (["T"], "", "type", "array"),
            ("T", "", "type", "string"),
            (7, "", "type", "integer"),
            ({"title": "T\0", "member_id": "A1"}, "title", "pattern", "string"),
        ],
    )
    async def test_that_break_the_schema_are_refused_by_field_and_rule(
        self, world: CareWorld, body: object, field: str, rule: str, value_type: str
    ) -> None:
        answer = await world.ask("POST", "/api/tasks", body=body)
        assert answer.status == 400
        assert answer.body["error"] == "INVALID_BODY"
        assert (answer.body["field"], answer.body["rule"], answer.body["value_type"]) == (field, rule, value_type)

    @pytest.mark.parametrize("raw", [b"{", b"\xff", b"[" * 20_000, b'{"title":NaN}', b'{"title":"\\ud800"}'])
    async def test_that_are_no_json_are_refused(self, world: CareWorld, raw: bytes) -> None:
        async with world.http.post(
            f"{world.server.base}/api/tasks", data=raw, headers={"Authorization": f"Bearer {token_of(SARAH)}"}
        ) as response:
            assert (response.status, (await response.json())["error"]) == (400, "INVALID_BODY")

    async def test_that_are_too_large_are_refused(self, world: CareWorld) -> None:
        answer = await world.ask("POST", "/api/tasks", body={"title": "x" * 300_000, "member_id": JOHN.id})
        assert (answer.status, answer.body["error"]) == (413, "TOO_LARGE")

    async def test_that_name_another_task_than_the_path_are_refused(self, world: CareWorld) -> None:
        task = await world.task()
        body = {"task_id": "task_other", "version": 1, "changes": {}}
        answer = await world.ask("PATCH", f"/api/tasks/{task['id']}", body=body)
        assert (answer.status, answer.body["field"]) == (400, "task_id")

    @pytest.mark.parametrize("member_id", ["A999999", "A1"])
    async def test_that_refer_to_what_one_may_not_see_are_refused(self, world: CareWorld, member_id: str) -> None:
        answer = await world.ask("POST", "/api/tasks", EVE, {"title": "T", "member_id": member_id})
        assert (answer.status, answer.body["field"]) == (422, "member_id")

    async def test_that_want_an_impossible_status_are_refused(self, world: CareWorld) -> None:
        task = await world.task()
        done = await world.change(task, status="completed")
        answer = await world.ask(
            "PATCH", f"/api/tasks/{task['id']}", body={"changes": {"status": "cancelled"}, "version": done["version"]}
        )
        assert (answer.status, answer.body["error"]) == (409, "INVALID_TRANSITION")


class TestQueries:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=ten", "limit"),
            ("limit=1.5", "limit"),
            ("status=lost", "status.0"),
            ("status=pending&status=pending", "status"),
            ("due_from=tomorrow", "due_from"),
            ("colour=red", "colour"),
            ("sort=colour", "sort"),
            ("cursor=bm90IG91cnM", "cursor"),
            ("cursor=%00", "cursor"),
            ("limit=5&limit=6", "limit"),
        ],
    )
    async def test_that_break_the_schema_are_refused_by_field(self, world: CareWorld, query: str, field: str) -> None:
        answer = await world.ask("GET", f"/api/tasks?{query}")
        assert (answer.status, answer.body["field"]) == (400, field)

    @pytest.mark.parametrize(("text", "status"), [("true", 200), ("false", 200), ("yes", 400), ("True", 400)])
    async def test_truth_values_have_two_spellings(self, world: CareWorld, text: str, status: int) -> None:
        assert (await world.ask("GET", f"/api/notifications?unread={text}")).status == status


class TestSubjects:
    async def test_a_member_is_created_read_changed_noted_and_contacted(self, world: CareWorld) -> None:
        created = await world.ask("POST", "/api/members", body={"name": "Mary Major", "team_id": EAST})
        assert created.status == 201
        path = f"/api/members/{created.body['id']}"
        changed = await world.ask("PATCH", path, body={"name": "Mary Minor"})
        assert (changed.status, (await world.ask("GET", path)).body["name"]) == (200, "Mary Minor")
        assert (await world.ask("POST", f"{path}/notes", body={"text": "Prefers mornings"})).status == 201
        contact = {"method": "phone", "outcome": "reached"}
        assert (await world.ask("POST", f"{path}/contacts", body=contact)).status == 201
        feed = await world.ask("GET", f"/api/activity?team_id={EAST}&type=note_added&type=member_contacted")
        assert [each["type"] for each in feed.body["items"]] == ["member_contacted", "note_added"]
        assert (await world.ask("GET", path, RITA)).status == (await world.ask("GET", "/api/members/x", RITA)).status

    async def test_a_service_request_is_created_read_changed_and_noted(self, world: CareWorld) -> None:
        body = {"name": "Transport", "member_id": JOHN.id}
        created = await world.ask("POST", "/api/service_requests", body=body)
        assert created.status == 201
        path = f"/api/service_requests/{created.body['id']}"
        assert (await world.ask("PATCH", path, body={"status": "closed"})).body["status"] == "closed"
        assert (await world.ask("POST", f"{path}/notes", body={"text": "Booked"})).status == 201
        assert (await world.ask("GET", path)).body["status"] == "closed"
        assert (await world.ask("GET", path, RITA)).status == 404

    async def test_only_a_service_chooses_ids(self, world: CareWorld) -> None:
        body = {"id": "A200000", "name": "Mary Major", "team_id": EAST}
        assert (await world.ask("POST", "/api/members", body=body)).status == 403
        assert (await world.ask("POST", "/api/members", SERVICE, body)).status == 201
        again = await world.ask("POST", "/api/members", SERVICE, body)
        assert (again.status, again.body["error"]) == (409, "ALREADY_EXISTS")


class TestFeeds:
    async def test_of_another_team_do_not_exist(self, world: CareWorld) -> None:
        assert (await world.ask("GET", f"/api/activity?team_id={EAST}", EVE)).status == 404
        assert (await world.ask("GET", "/api/activity")).body["field"] == "team_id"

    async def test_are_paged_by_cursor(self, world: CareWorld) -> None:
        for title in "abc":
            await world.task(title=title)
        first = await world.ask("GET", f"/api/activity?team_id={EAST}&limit=2")
        rest = await world.ask("GET", f"/api/activity?team_id={EAST}&limit=2&before={first.body['next_cursor']}")
        names = [each["subject"]["name"] for each in (*first.body["items"], *rest.body["items"])]
        assert names == ["c", "b", "a"]

    async def test_notifications_are_counted_listed_and_read(self, world: CareWorld) -> None:
        for _ in range(3):
            await world.task(assigned_to=MIKE.user_id)
        listed = await world.ask("GET", "/api/notifications", MIKE)
        assert (len(listed.body["items"]), listed.body["unread_count"]) == (3, 3)
        one = {"notification_ids": [listed.body["items"][0]["notification_id"]]}
        assert (await world.ask("POST", "/api/notifications/read", MIKE, one)).body == {"unread_count": 2}
        unread = await world.ask("GET", "/api/notifications?unread=true", MIKE)
        assert len(unread.body["items"]) == 2
        assert (await world.ask("POST", "/api/notifications/read", MIKE)).body == {"unread_count": 0}
        assert (await world.ask("GET", "/api/notifications", SARAH)).body == {"items": [], "unread_count": 0}


class TestBrowsers:
    async def test_a_page_of_an_allowed_origin_may_change_tasks(self, world: CareWorld) -> None:
        wanted = ("authorization", "content-type", "if-match", "idempotency-key", "bayeux-client-id")
        answer = await world.ask(
            "OPTIONS",
            "/api/tasks/task_1",
            None,
            Origin=ALLOWED_ORIGIN,
            **{"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": ", ".join(wanted)},
        )
        assert answer.status in (200, 204)
        assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED_ORIGIN
        assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
        allowed = answer.headers["Access-Control-Allow-Headers"].lower()
        assert all(name in allowed for name in wanted)

    async def test_it_can_read_the_version_of_an_answer(self, world: CareWorld) -> None:
        task = await world.task()
        answer = await world.ask("GET", f"/api/tasks/{task['id']}", Origin=ALLOWED_ORIGIN)
        assert "etag" in answer.headers["Access-Control-Expose-Headers"].lower()

    async def test_one_of_any_other_origin_may_not(self, world: CareWorld) -> None:
        answer = await world.ask("OPTIONS", "/api/tasks/task_1", None, Origin="http://evil.example")
        assert "Access-Control-Allow-Origin" not in answer.headers

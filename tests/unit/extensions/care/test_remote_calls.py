"""The same operations as remote calls: the bodies, answers and errors of HTTP."""

import pytest

from tests.support.care_world import EAST, EVE, JOHN, RITA, SARAH, CareWorld
from tests.support.client import Client, Message


async def ask(world: CareWorld, client: Client, operation: str, data: object) -> Message:
    """Call an operation."""
    return await world.call(client, "/service/" + operation.replace(".", "/"), data)


class TestRemoteCalls:
    async def test_do_and_answer_what_http_does(self, world: CareWorld) -> None:
        page = await world.page(SARAH)
        body = {"title": "Contact member", "member_id": JOHN.id, "team_id": EAST}
        created = await ask(world, page, "task.create", body)
        assert created["successful"] is True
        task = created["data"]
        read = await ask(world, page, "task.get", {"task_id": task["id"]})
        assert read["data"] == task == (await world.ask("GET", f"/api/tasks/{task['id']}")).body
        change = {"task_id": task["id"], "version": 1, "changes": {"notes": "x"}}
        assert (await ask(world, page, "task.update", change))["data"]["version"] == 2
        listed = await ask(world, page, "task.list", {"team_id": EAST, "status": ["pending"]})
        assert [each["id"] for each in listed["data"]["items"]] == [task["id"]]
        feed = await ask(world, page, "activity.list", {"team_id": EAST})
        assert feed["data"] == (await world.ask("GET", f"/api/activity?team_id={EAST}")).body
        assert (await ask(world, page, "notification.list", None))["data"] == {"items": [], "unread_count": 0}

    async def test_refuse_as_http_does_with_the_status_in_the_body(self, world: CareWorld) -> None:
        page = await world.page(SARAH)
        task = await world.task(notes="first")
        await world.change(task, notes="second")
        path = f"/api/tasks/{task['id']}"
        for data, method, body in (
            ({"task_id": task["id"], "changes": {"notes": "x"}}, "PATCH", {"changes": {"notes": "x"}}),
            ({"task_id": task["id"], "version": 2, "colour": 1}, "PATCH", {"version": 2, "colour": 1}),
            (
                {"task_id": task["id"], "version": 1, "changes": {"notes": "x"}},
                "PATCH",
                {"version": 1, "changes": {"notes": "x"}},
            ),
        ):
            refused = await ask(world, page, "task.update", data)
            over_http = await world.ask(method, path, body=body)
            assert refused["successful"] is False
            told = {name: value for name, value in refused["data"].items() if name not in ("status", "conflict_id")}
            expected = {name: value for name, value in over_http.body.items() if name != "conflict_id"}
            assert (refused["data"]["status"], told) == (over_http.status, expected)

    async def test_do_not_tell_what_is_hidden_from_what_does_not_exist(self, world: CareWorld) -> None:
        page = await world.page(EVE)
        task = await world.task()
        hidden = await ask(world, page, "task.get", {"task_id": task["id"]})
        absent = await ask(world, page, "task.get", {"task_id": "task_absent"})
        assert hidden["data"] == absent["data"]
        assert hidden["data"]["status"] == 404

    async def test_redact_as_http_does(self, world: CareWorld) -> None:
        page = await world.page(RITA)
        task = await world.task(notes="Left voicemail")
        answer = await ask(world, page, "task.get", {"task_id": task["id"]})
        assert answer["data"] == (await world.ask("GET", f"/api/tasks/{task['id']}", RITA)).body
        assert "notes" not in answer["data"]

    async def test_are_refused_under_an_old_token_as_over_http(self, world: CareWorld) -> None:
        task = await world.task()
        lock = {"type": "lock.acquire", "task_id": task["id"], "field_name": "completion_notes"}
        tabs = [await world.page(SARAH, f"/task/{task['id']}") for _ in range(2)]
        tokens = [(await world.call(tab, "/service/presence", lock))["data"]["token"] for tab in tabs]
        answers = [
            await ask(
                world,
                tab,
                "task.complete",
                {"task_id": task["id"], "completion_notes": "Done", "fencing_tokens": {"completion_notes": token}},
            )
            for tab, token in zip(tabs, tokens, strict=True)
        ]
        refused, written = [answer["data"] for answer in answers]
        assert (refused["status"], refused["error"]) == (409, "LOCKED")
        assert refused["locked_fields"] == [{"field_name": "completion_notes", "reason": "old_token"}]
        assert (written["status"], written["version"]) == ("completed", 2)

    async def test_carry_an_idempotency_key_beside_the_body(self, world: CareWorld) -> None:
        page = await world.page(SARAH)
        body = {"title": "Once", "member_id": JOHN.id, "team_id": EAST, "idempotency_key": "k1"}
        first, again = await ask(world, page, "task.create", body), await ask(world, page, "task.create", body)
        assert first["data"] == again["data"]
        other = await ask(world, page, "task.create", {**body, "title": "Twice"})
        assert (other["data"]["status"], other["data"]["error"]) == (422, "IDEMPOTENCY_KEY_REUSED")

    async def test_share_their_keys_with_http(self, world: CareWorld) -> None:
        page = await world.page(SARAH)
        body = {"title": "Once", "member_id": JOHN.id, "team_id": EAST}
        over_http = await world.ask("POST", "/api/tasks", body=body, Idempotency_Key="k1")
        called = await ask(world, page, "task.create", {**body, "idempotency_key": "k1"})
        assert called["data"] == over_http.body

    @pytest.mark.parametrize("key", ["", "k" * 256, "k\0", 5, None])
    async def test_refuse_a_key_that_is_no_text_of_proper_length(self, world: CareWorld, key: object) -> None:
        page = await world.page(SARAH)
        answer = await ask(world, page, "task.create", {"title": "T", "member_id": JOHN.id, "idempotency_key": key})
        assert (answer["data"]["status"], answer["data"]["field"]) == (400, "idempotency_key")

    @pytest.mark.parametrize("data", [5, "text", [1]])
    async def test_refuse_what_is_no_object(self, world: CareWorld, data: object) -> None:
        page = await world.page(SARAH)
        answer = await ask(world, page, "task.get", data)
        assert (answer["data"]["status"], answer["data"]["rule"]) == (400, "type")

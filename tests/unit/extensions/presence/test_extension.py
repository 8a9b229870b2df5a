"""Presence on a Bayeux server: what clients send, what others hear, and what ends a presence."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View
from bayeux_server.server.session import ServerSession
from channels.locks.guard import WriteIntent
from channels.presence.model import PresenceState
from channels.schema import check
from extensions.presence.people import presence_id
from extensions.presence.service import TakeOver, Visitor
from tests.unit.extensions.presence.world import Client, World


class TestJoining:
    async def test_a_subscriber_gets_a_snapshot_first_and_then_changes(self, world: World, sarah: Client) -> None:
        await sarah.open()
        (snapshot,) = sarah.heard()
        check("presence.snapshot", snapshot)
        assert snapshot["users"] == []
        await world.pass_time(0.1)
        (joined,) = sarah.heard()
        check("presence.user_joined", joined)
        assert joined["user"]["user_name"] == "Sarah Johnson"
        assert joined["version"] == snapshot["version"] + 1

    async def test_a_snapshot_shows_who_was_there(self, world: World, sarah: Client, mike: Client) -> None:
        await sarah.open(state="editing")
        await world.pass_time(0.1)
        await mike.send("/meta/subscribe", subscription="/task/task_1/presence")
        (snapshot,) = mike.heard()
        check("presence.snapshot", snapshot)
        (user,) = snapshot["users"]
        assert (user["user_id"], user["state"], user["task_id"]) == ("cc_456", "editing", "task_1")

    async def test_both_channels_of_a_task_carry_its_presence(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.send("/meta/subscribe", subscription="/task/task_1/presence")
        await sarah.open()
        await world.pass_time(0.1)
        assert mike.heard_types() == ["presence.snapshot", "presence.user_joined"]
        assert sarah.heard_types() == ["presence.snapshot", "presence.user_joined"]

    async def test_a_pattern_within_a_task_gets_its_snapshot(self, mike: Client) -> None:
        await mike.send("/meta/subscribe", subscription="/task/task_1/**")
        (event,) = mike.connection.events
        assert event["channel"] == "/task/task_1/presence"
        await mike.send("/meta/subscribe", subscription="/task/**")
        await mike.send("/meta/subscribe", subscription="/task_list/team/team_1")
        assert len(mike.connection.events) == 1

    async def test_only_subscribers_of_the_task_hear_of_it(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.send("/meta/subscribe", subscription="/task/task_2")
        mike.heard()
        await sarah.open()
        await world.pass_time(0.1)
        assert mike.heard() == []

    async def test_states_typing_and_their_end_are_told(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.send("/meta/subscribe", subscription="/task/task_1")
        await sarah.open()
        await world.pass_time(0.1)
        await sarah.tell("presence.state_changed", old_state="viewing", new_state="editing")
        await world.pass_time(0.1)
        await sarah.tell("presence.typing", field_name="notes")
        await world.pass_time(0.1)
        await world.pass_time(5.1, hold=(sarah, mike))
        events = mike.heard()
        for event in events:
            check(event["type"], event)
        assert [event["type"].removeprefix("presence.") for event in events] == [
            "snapshot", "user_joined", "state_changed", "state_changed", "typing", "state_changed",
        ]  # fmt: skip
        assert (events[-1]["old_state"], events[-1]["new_state"]) == ("typing", "editing")
        assert [event["version"] - events[0]["version"] for event in events] == [0, 1, 2, 3, 4, 5]

    async def test_heartbeats_are_told_to_nobody(self, world: World, sarah: Client) -> None:
        await sarah.open()
        await world.pass_time(0.1)
        sarah.heard()
        assert (await sarah.tell("presence.heartbeat", user_id="cc_456"))["data"] is None
        await world.pass_time(1)
        assert sarah.heard() == []

    async def test_a_snapshot_can_be_asked_for_again(self, sarah: Client) -> None:
        await sarah.open()
        answer = await sarah.tell("presence.snapshot")
        assert answer["successful"]
        check("presence.snapshot", answer["data"])


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "error"),
        [
            ({"type": "presence.typing", "task_id": "task_1"}, "400:field_name,required,missing:message_invalid"),
            ({"type": "presence.dance", "task_id": "task_1"}, "400:type,enum,string:unknown_message_type"),
            ({"type": 7, "task_id": "task_1"}, "400:type,enum,integer:unknown_message_type"),
            ({"task_id": "task_1"}, "400:type,required,missing:message_invalid"),
            ({"type": "presence.heartbeat", "task_id": "a b"}, "400:task_id,pattern,string:message_invalid"),
            ({"type": "presence.heartbeat", "task_id": "task_1", "user_id": "cc_1"}, "403:user_id:not_your_user_id"),
            ({"type": "presence.heartbeat", "task_id": "task_2"}, "403:task_2:presence_denied"),
            ("hello", "400:,type,string:message_invalid"),
        ],
    )
    async def test_a_wrong_message_is_refused_with_its_reason(self, sarah: Client, data: Any, error: str) -> None:
        await sarah.open()
        sarah.heard()
        await sarah.send("/service/presence", data=data)
        (answer,) = sarah.connection.events
        assert not answer["successful"]
        assert answer["data"]["error"] == error

    async def test_an_anonymous_session_has_no_presence(self, world: World) -> None:
        nobody = await world.client(None)
        await nobody.send("/meta/subscribe", subscription="/task/task_1")
        answer = await nobody.tell("presence.user_joined")
        assert answer["data"]["error"] == "403::presence_needs_a_user"

    async def test_a_user_without_a_care_role_has_no_presence(self, world: World, sarah: Client) -> None:
        await sarah.send("/meta/subscribe", subscription="/task/task_1")
        assert sarah.session.identity is not None
        sarah.session.identity = type(sarah.session.identity)("cc_456", frozenset({"visitor"}))
        answer = await sarah.tell("presence.user_joined")
        assert answer["data"]["error"] == "403::presence_needs_a_role"

    async def test_too_many_tasks_at_once_are_refused(self, sarah: Client) -> None:
        for number in range(100):
            await sarah.open(f"task_{number}")
        await sarah.send("/meta/subscribe", subscription="/task/task_100")
        answer = await sarah.tell("presence.user_joined", "task_100")
        assert answer["data"]["code"] == 429


class TestLeaving:
    async def test_a_leave_is_told_at_once(self, world: World, sarah: Client, watched: Client) -> None:
        await sarah.tell("presence.user_left")
        await world.pass_time(0.1)
        (left,) = watched.heard()
        check("presence.user_left", left)
        assert left["user_id"] == "cc_456"

    async def test_an_unsubscribe_leaves(self, world: World, sarah: Client, watched: Client) -> None:
        await sarah.send("/meta/unsubscribe", subscription="/task/task_1")
        await world.pass_time(0.1)
        assert watched.heard_types() == ["presence.user_left"]

    async def test_the_designs_farewell_after_an_unsubscribe_is_no_error(self, sarah: Client) -> None:
        await sarah.open()
        await sarah.send("/meta/unsubscribe", subscription="/task/task_1")
        assert (await sarah.tell("presence.user_left"))["successful"]

    async def test_an_unsubscribe_from_one_of_two_channels_stays(
        self, world: World, sarah: Client, watched: Client
    ) -> None:
        await sarah.send("/meta/subscribe", subscription="/task/task_1/presence")
        await sarah.send("/meta/unsubscribe", subscription="/task/task_1")
        await world.pass_time(1)
        assert watched.heard() == []

    async def test_a_disconnect_leaves(self, world: World, sarah: Client, watched: Client) -> None:
        await sarah.send("/meta/disconnect")
        await world.pass_time(0.1)
        assert watched.heard_types() == ["presence.user_left"]

    async def test_a_lost_subscription_leaves(self, world: World, sarah: Client, watched: Client) -> None:
        """As when the right to see the task is withdrawn."""
        world.server.unsubscribe(sarah.session, "/task/task_1")
        await world.settle()
        await world.pass_time(0.1)
        assert watched.heard_types() == ["presence.user_left"]

    async def test_a_connection_that_is_back_in_time_is_not_noticed(
        self, world: World, sarah: Client, watched: Client
    ) -> None:
        await sarah.lose_connection()
        await world.pass_time(11.999, hold=(watched,))
        await sarah.come_back()
        await world.pass_time(60, hold=(watched, sarah))
        assert watched.heard() == []

    @pytest.mark.parametrize("lost_after_s", [0, 0.3, 0.77, 24.9])
    async def test_a_connection_that_stays_away_leaves_once_when_its_grace_time_ends(
        self, world: World, sarah: Client, watched: Client, lost_after_s: float
    ) -> None:
        """Wherever in the sweep's second it was lost."""
        await world.pass_time(lost_after_s, hold=(watched, sarah))
        await sarah.lose_connection()
        await world.pass_time(11.999, hold=(watched,))
        assert watched.heard() == []
        await world.pass_time(0.001, hold=(watched,))
        assert watched.heard_types() == ["presence.user_left"]
        await world.pass_time(100, hold=(watched,))
        assert watched.heard() == []

    async def test_outages_that_follow_each_other_have_a_grace_time_each(
        self, world: World, sarah: Client, watched: Client
    ) -> None:
        for away_s in (0.5, 11.9, 1.1, 8, 11.9):
            await sarah.lose_connection()
            await world.pass_time(away_s, hold=(watched,))
            await sarah.come_back()
            await world.pass_time(0.2, hold=(watched,))
        assert watched.heard() == []
        await sarah.lose_connection()
        await world.pass_time(11.999, hold=(watched,))
        assert watched.heard() == []
        await world.pass_time(0.001, hold=(watched,))
        assert watched.heard_types() == ["presence.user_left"]

    async def test_the_gap_between_two_polls_is_told_to_no_store(
        self, world: World, sarah: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await sarah.open()
        told: list[str] = []

        async def tell(session_id: str, gone_for_s: float = 0.0) -> None:
            told.append(session_id)

        monkeypatch.setattr(world.service, "lose", tell)
        for _ in range(5):
            await sarah.lose_connection()
            await world.pass_time(0.9)
            await sarah.come_back()
        assert told == []

    async def test_an_event_stream_that_comes_back_without_a_message_is_back(
        self, world: World, sarah: Client, watched: Client
    ) -> None:
        await sarah.lose_connection()
        await world.pass_time(5, hold=(watched,))
        world.server.lifecycle.attach(sarah.session, sarah.connection)
        await world.pass_time(20, hold=(watched,))
        assert watched.heard() == []

    async def test_a_store_that_was_away_hears_of_it_when_it_is_back(
        self, world: World, sarah: Client, watched: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away(_session_id: str, _gone_for_s: float = 0.0) -> None:
            raise ConnectionError

        with monkeypatch.context() as patch:
            patch.setattr(world.service, "lose", away)
            await sarah.lose_connection()
            await world.pass_time(5, hold=(watched,))
        await world.pass_time(6.999, hold=(watched,))
        assert watched.heard() == []
        await world.pass_time(0.001, hold=(watched,))
        assert watched.heard_types() == ["presence.user_left"]

    async def test_a_return_that_the_store_did_not_hear_of_is_told_again(
        self, world: World, sarah: Client, watched: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away(_visitor: Visitor, _states: Mapping[str, PresenceState]) -> None:
            raise ConnectionError

        await sarah.lose_connection()
        await world.pass_time(5, hold=(watched,))
        with monkeypatch.context() as patch:
            patch.setattr(world.service, "resume", away)
            await sarah.come_back()
        await world.pass_time(30, hold=(watched, sarah))
        assert watched.heard() == []

    async def test_a_connection_that_is_back_too_late_is_shown_again_at_once(
        self, world: World, sarah: Client, watched: Client
    ) -> None:
        await sarah.tell("presence.state_changed", new_state="editing")
        await world.pass_time(0.1, hold=(watched, sarah))
        watched.heard()
        await sarah.lose_connection()
        await world.pass_time(13, hold=(watched,))
        assert watched.heard_types() == ["presence.user_left"]
        await sarah.come_back()
        await world.pass_time(0.1, hold=(watched, sarah))
        (joined,) = watched.heard()
        check("presence.user_joined", joined)
        assert (joined["user"]["user_id"], joined["user"]["state"]) == ("cc_456", "editing")
        await world.pass_time(60, hold=(watched, sarah))
        assert watched.heard() == []

    async def test_who_left_a_task_while_there_is_not_brought_back_to_it(
        self, world: World, sarah: Client, watched: Client
    ) -> None:
        await sarah.tell("presence.user_left")
        await sarah.tell("presence.snapshot")
        await sarah.open("task_2")
        await world.pass_time(0.1, hold=(watched, sarah))
        watched.heard()
        await sarah.lose_connection()
        await world.pass_time(13, hold=(watched,))
        await sarah.come_back()
        await world.pass_time(1, hold=(watched, sarah))
        assert watched.heard() == []

    async def test_a_page_that_fell_silent_before_is_not_brought_back(
        self, world: World, sarah: Client, watched: Client
    ) -> None:
        await world.pass_time(290, hold=(watched, sarah))
        await sarah.lose_connection()
        await world.pass_time(13, hold=(watched,))
        assert watched.heard_types() == ["presence.user_left"]
        await sarah.come_back()
        await world.pass_time(1, hold=(watched, sarah))
        assert watched.heard() == []

    async def test_a_silent_page_is_gone_after_its_lease(self, world: World, sarah: Client, watched: Client) -> None:
        await world.pass_time(299.7, hold=(watched, sarah))
        assert watched.heard() == []
        await world.pass_time(0.2, hold=(watched, sarah))
        assert watched.heard_types() == ["presence.user_left"]

    async def test_a_server_that_stops_makes_no_noise(self, world: World, sarah: Client, watched: Client) -> None:
        await world.extension.stop()
        await world.settle()
        assert watched.heard() == []


class TestCursors:
    async def test_ten_a_second_pass_and_the_latest_wins(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.send("/meta/subscribe", subscription="/task/task_1")
        await sarah.open()
        await world.pass_time(0.1)
        mike.heard()
        for index in range(5):
            await sarah.tell("presence.cursor", field_name="notes", field_index=index)
        await world.pass_time(0.1)
        events = mike.heard()
        for event in events:
            check("presence.cursor", event)
        assert [event["field_index"] for event in events] == [0, 4]
        assert len({event["event_id"] for event in events}) == 2

    async def test_a_waiting_cursor_is_dropped_when_its_person_leaves(
        self, world: World, sarah: Client, mike: Client
    ) -> None:
        await mike.send("/meta/subscribe", subscription="/task/task_1")
        await sarah.open()
        await world.pass_time(0.1)
        await sarah.tell("presence.cursor", field_name="notes")
        await sarah.tell("presence.cursor", field_name="title")
        await sarah.tell("presence.user_left")
        mike.heard()
        await world.pass_time(1)
        assert mike.heard_types() == ["presence.user_left"]


class TestLocks:
    async def test_who_types_and_locks_a_field_is_still_typing(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.send("/meta/subscribe", subscription="/task/task_1")
        await sarah.open()
        await sarah.tell("presence.typing", field_name="notes")
        await world.pass_time(0.1)
        mike.heard()
        await sarah.tell("lock.acquire", field_name="title")
        await world.pass_time(0.1)
        assert [event["type"] for event in mike.heard()] == ["presence.field_locked"]

    async def test_a_lock_is_given_told_and_shown(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.open()
        await sarah.open()
        await world.pass_time(0.1)
        mike.heard()
        granted = (await sarah.tell("lock.acquire", field_name="notes"))["data"]
        assert granted["type"] == "lock.granted"
        assert granted["renew_every_ms"] == 10_000
        (locked,) = mike.heard()
        check("presence.field_locked", locked)
        assert (locked["user_name"], locked["field_name"], locked["token"]) == (
            "Sarah Johnson", "notes", granted["token"],
        )  # fmt: skip
        snapshot = (await mike.tell("presence.snapshot"))["data"]
        assert snapshot["locks"][0]["user_id"] == "cc_456"
        assert {user["user_id"]: user.get("locked_fields") for user in snapshot["users"]} == {
            "cc_456": ["notes"],
            "cc_789": None,
        }

    async def test_a_held_field_is_refused_with_its_holder(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.open()
        await sarah.open()
        await sarah.tell("lock.acquire", field_name="notes")
        refused = (await mike.tell("lock.acquire", field_name="notes"))["data"]
        assert refused["type"] == "lock.refused"
        assert refused["holder"] == {"user_id": "cc_456", "user_name": "Sarah Johnson"}
        assert "token" not in refused
        assert world.registry.get_sample_value("careapp_presence_conflicts_detected_total") == 1

    async def test_the_guard_refuses_other_peoples_writes_and_old_tokens(
        self, world: World, sarah: Client, mike: Client
    ) -> None:
        await sarah.open()
        await mike.open()
        token = (await sarah.tell("lock.acquire", field_name="notes"))["data"]["token"]
        refused = await world.guard.check(WriteIntent("task_1", frozenset({"notes", "status"}), "cc_789"))
        assert not refused.allowed
        assert refused.body("task_1")["holder"] == {"user_id": "cc_456", "user_name": "Sarah Johnson"}
        own = WriteIntent("task_1", frozenset({"notes"}), "cc_456", {"notes": token})
        assert (await world.guard.check(own)).allowed
        await sarah.tell("presence.user_left")
        await mike.tell("lock.acquire", field_name="notes")
        await mike.tell("lock.release", field_name="notes")
        late = await world.guard.check(own)
        assert [objection.reason for objection in late.objections] == ["old_token"]

    async def test_leaving_releases(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.open()
        await sarah.open()
        await sarah.tell("lock.acquire", field_name="notes")
        await world.pass_time(0.1)
        mike.heard()
        await sarah.send("/meta/disconnect")
        await world.pass_time(0.1)
        events = mike.heard()
        assert {event["type"] for event in events} == {"presence.field_unlocked", "presence.user_left"}
        assert (await mike.tell("lock.acquire", field_name="notes"))["data"]["type"] == "lock.granted"

    async def test_heartbeats_keep_a_lock_and_silence_ends_it(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.open()
        await sarah.open()
        await sarah.tell("lock.acquire", field_name="notes")
        await world.pass_time(25, hold=(sarah, mike))
        await sarah.tell("lock.renew")
        await world.pass_time(29, hold=(sarah, mike))
        mike.heard()
        await world.pass_time(1, hold=(sarah, mike))
        (unlocked,) = mike.heard()
        check("presence.field_unlocked", unlocked)
        assert unlocked["ended"] == "expired"

    async def test_a_lock_survives_a_short_outage(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.open()
        await sarah.open()
        await sarah.tell("lock.acquire", field_name="notes")
        await world.pass_time(25, hold=(sarah, mike))
        await sarah.lose_connection()
        await world.pass_time(10, hold=(mike,))
        await sarah.come_back()
        assert (await mike.tell("lock.acquire", field_name="notes"))["data"]["type"] == "lock.refused"

    async def test_a_release_after_leaving_does_not_come_back(self, world: World, sarah: Client, mike: Client) -> None:
        await mike.open()
        await sarah.open()
        await sarah.tell("presence.user_left")
        await sarah.tell("lock.release", field_name="notes")
        await world.pass_time(0.1)
        mike.heard()
        assert [user["user_id"] for user in (await mike.tell("presence.snapshot"))["data"]["users"]] == ["cc_789"]

    async def test_a_take_over_is_audited_before_it_happens(self, world: World, sarah: Client, mike: Client) -> None:
        await sarah.open()
        await mike.open()
        await sarah.tell("lock.acquire", field_name="notes")
        refused = await mike.tell("lock.take_over", field_name="notes", reason="Sarah is on holiday")
        assert refused["data"]["error"] == "403:notes:take_over_not_audited"
        audited: list[TakeOver] = []

        async def audit(entry: TakeOver) -> None:
            audited.append(entry)

        world.service.audit = audit
        await world.pass_time(0.1)
        sarah.heard()
        taken = (await mike.tell("lock.take_over", field_name="notes", reason="Sarah is on holiday"))["data"]
        assert taken["type"] == "lock.granted"
        (entry,) = audited
        assert (entry.by.user_id, entry.reason) == ("cc_789", "Sarah is on holiday")
        assert entry.holder is not None
        assert entry.holder.user_id == "cc_456"
        events = sarah.heard()
        assert [event["type"] for event in events] == ["presence.field_unlocked", "presence.field_locked"]
        assert "holiday" not in str(events)

    async def test_a_take_over_that_cannot_be_audited_does_not_happen(
        self, world: World, sarah: Client, mike: Client
    ) -> None:
        await sarah.open()
        await mike.open()
        await sarah.tell("lock.acquire", field_name="notes")

        async def audit(_: TakeOver) -> None:
            raise OSError("the audit log is away")

        world.service.audit = audit
        assert not (await mike.tell("lock.take_over", field_name="notes", reason="urgent"))["successful"]
        assert (await mike.tell("lock.acquire", field_name="notes"))["data"]["type"] == "lock.refused"

    async def test_who_may_not_edit_gets_no_lock(self, world: World, sarah: Client) -> None:
        async def may_edit(_person: object, task_id: str) -> bool:
            return task_id == "task_2"

        world.service.may_edit = may_edit
        await sarah.open("task_1")
        await sarah.open("task_2")
        assert (await sarah.tell("lock.acquire", "task_1", field_name="notes"))["data"]["code"] == 403
        assert (await sarah.tell("lock.acquire", "task_2", field_name="notes"))["successful"]

    async def test_advisory_locks_only_warn(self) -> None:
        world = World(locks="advisory")
        await world.server.start()
        sarah = await world.client()
        await sarah.open()
        await sarah.tell("lock.acquire", field_name="notes")
        verdict = await world.guard.check(WriteIntent("task_1", frozenset({"notes"}), "cc_789"))
        assert verdict.allowed
        assert [objection.reason for objection in verdict.objections] == ["held"]
        await world.server.stop()

    async def test_without_locks_none_is_given_and_every_write_passes(self) -> None:
        world = World(locks="off")
        await world.server.start()
        sarah = await world.client()
        await sarah.open()
        assert (await sarah.tell("lock.acquire", field_name="notes"))["data"]["error"] == "403:task_1:locks_are_off"
        assert (await world.guard.check(WriteIntent("task_1", frozenset({"notes"}), "cc_789"))).allowed
        await world.server.stop()


class TestOperation:
    async def test_sessions_that_edit_are_known(self, world: World, sarah: Client, mike: Client) -> None:
        await sarah.open()
        await mike.open(state="editing")
        assert not world.extension.is_editing(sarah.session, "task_1")
        assert world.extension.is_editing(mike.session, "task_1")
        await mike.send("/meta/unsubscribe", subscription="/task/task_1")
        assert not world.extension.is_editing(mike.session, "task_1")

    async def test_a_session_is_not_warned_of_its_own_change(self, world: World, mike: Client) -> None:
        other_tab = await world.client("cc_789")
        await mike.open(state="editing")
        await other_tab.open(state="editing")
        changed_in = presence_id(mike.session.id)
        assert not world.extension.is_warned(mike.session, "task_1", changed_in)
        assert world.extension.is_warned(other_tab.session, "task_1", changed_in)
        assert world.extension.is_warned(mike.session, "task_1", None)

    async def test_who_was_refused_a_lock_does_not_count_as_editing(self, world: World, sarah: Client) -> None:
        async def no_editor(*_: object) -> bool:
            return False

        world.service.may_edit = no_editor
        await sarah.open()
        assert not (await sarah.tell("lock.acquire", field_name="notes"))["successful"]
        assert not world.extension.is_editing(sarah.session, "task_1")

    async def test_a_snapshot_is_shown_as_the_view_policy_says(self, world: World, sarah: Client, mike: Client) -> None:
        class OnlySarah:
            async def views(self, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
                return [(publication, [session for session in audience if session.user_id == "cc_456"])]

        world.extension.views = OnlySarah()
        await sarah.open()
        await mike.open()
        assert sarah.heard_types() == ["presence.snapshot"]
        assert mike.heard_types() == []

    async def test_presence_can_be_off_for_some(self, world: World, sarah: Client) -> None:
        world.extension.enabled = lambda session: session.user_id != "cc_456"
        await sarah.send("/meta/subscribe", subscription="/task/task_1")
        assert sarah.heard() == []
        assert (await sarah.tell("presence.user_joined"))["data"]["error"] == "403:/service/presence:presence_is_off"

    async def test_the_metrics_have_no_ids(self, world: World, sarah: Client) -> None:
        await sarah.open()
        await world.pass_time(0.1)
        value = world.registry.get_sample_value
        assert value("careapp_presence_events_total", {"type": "presence.user_joined"}) == 1
        assert value("careapp_presence_active_users_count") == 1
        assert value("careapp_presence_sessions") == 1

    async def test_a_store_that_is_away_is_seen_and_found_again(
        self, world: World, sarah: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await sarah.open()
        assert world.readiness["presence"]() is None

        async def away(_now_s: float) -> float:
            raise ConnectionError

        with monkeypatch.context() as patch:
            patch.setattr(world.service, "tick", away)
            await world.pass_time(2, hold=(sarah,))
            assert world.readiness["presence"]() is not None
        await world.pass_time(2, hold=(sarah,))
        assert world.readiness["presence"]() is None
        assert "presence.user_joined" in sarah.heard_types()

    async def test_an_event_that_could_not_be_published_is_published_later(
        self, world: World, sarah: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await sarah.open()
        sarah.heard()

        async def away(_publication: object) -> None:
            raise OSError

        with monkeypatch.context() as patch:
            patch.setattr(world.core.broker, "publish", away)
            await world.pass_time(1, hold=(sarah,))
        assert sarah.heard() == []
        await world.pass_time(12, hold=(sarah,))
        assert sarah.heard_types() == ["presence.user_joined"]

    async def test_a_mistake_while_leaving_is_logged_and_ends_with_the_lease(
        self, world: World, sarah: Client, mike: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await mike.send("/meta/subscribe", subscription="/task/task_1")
        await sarah.open()
        await world.pass_time(0.1)
        mike.heard()

        async def away(_session_id: str) -> None:
            raise RuntimeError

        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr(world.service, "end", away)
            await sarah.send("/meta/disconnect")
        assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["presence.failed"]
        await world.pass_time(300.2, hold=(mike,))
        assert mike.heard_types() == ["presence.user_left"]

"""Who gets which view, and what a redacted view shows."""

from collections.abc import Mapping

import pytest

from bayeux_server.protocol.channel_id import ChannelGrammar
from channels.phi import PHI_FIELDS, shape_of
from channels.policy import Need, Principal, view_phi, view_task, view_team
from channels.schema import care_schemas
from channels.views import (
    View,
    event_needs,
    metric_label,
    object_needs,
    redact,
    scrub_log,
    shown,
    view_of,
)

parse = ChannelGrammar().parse

UPDATED = {
    "event_id": "e1",
    "type": "task.updated",
    "task_id": "task_789",
    "version": 8,
    "task": {
        "id": "task_789",
        "title": "Contact member about appointment",
        "member_id": "A123456",
        "notes": "Called member, left voicemail.",
        "status": "in_progress",
    },
    "changed_fields": ["notes", "status"],
    "changed_by": {"user_id": "cc_456", "user_name": "Sarah Johnson", "user_role": "care_coordinator"},
    "timestamp": "2025-11-13T10:30:00.000Z",
}


def _view(channel: str, payload: object, *granted: Need, user: str = "cc_456") -> View | None:
    needs = event_needs(parse(channel), payload)
    assert needs is not None
    allowed = {tuple(need) for need in granted}
    return view_of(Principal(user), needs, lambda _user, *need: need in allowed)


class TestViewOfAnEvent:
    def test_both_permissions_give_the_whole_event(self) -> None:
        assert _view("/task/task_789", UPDATED, view_task("task_789"), view_phi("A123456")) is View.FULL

    def test_without_phi_rights_it_is_redacted(self) -> None:
        assert _view("/task/task_789", UPDATED, view_task("task_789")) is View.REDACTED

    def test_phi_rights_alone_do_not_show_a_task(self) -> None:
        assert _view("/task/task_789", UPDATED, view_phi("A123456")) is View.HIDDEN

    def test_an_event_on_another_tasks_channel_is_hidden(self) -> None:
        assert _view("/task/task_1", UPDATED, view_task("task_789"), view_task("task_1")) is View.HIDDEN

    @pytest.mark.parametrize("payload", [None, 5, "x", [UPDATED], {}, {"task_id": 5}])
    def test_what_cannot_be_read_is_hidden(self, payload: object) -> None:
        assert _view("/task/task_789", payload, view_task("task_789")) is View.HIDDEN

    def test_an_event_that_names_no_patient_asks_for_the_tasks_own(self) -> None:
        event = {**UPDATED, "task": {"id": "task_789"}}
        phi_of_task = ("view_phi", "task", "task_789")
        needs = event_needs(parse("/task/task_789"), event)
        assert needs is not None
        assert [tuple(need) for need in needs.full] == [phi_of_task]

    def test_a_members_list_has_no_redacted_form(self) -> None:
        """Its channel names the patient."""
        channel = "/task_list/member/A123456"
        assert _view(channel, UPDATED, view_task("task_789")) is View.HIDDEN
        assert _view(channel, UPDATED, view_task("task_789"), view_phi("A123456")) is View.FULL
        assert _view("/task_list/member/B", UPDATED, view_task("task_789"), view_phi("B")) is View.HIDDEN

    def test_a_teams_list_needs_the_team_and_the_task(self) -> None:
        channel = "/task_list/team/t1"
        assert _view(channel, UPDATED, view_task("task_789")) is View.HIDDEN
        assert _view(channel, UPDATED, view_team("t1")) is View.HIDDEN
        assert _view(channel, UPDATED, view_task("task_789"), view_team("t1")) is View.REDACTED

    def test_who_loses_a_task_hears_that_it_is_gone(self) -> None:
        moved = {**UPDATED, "type": "task.assigned", "previous_assigned_to": "cc_456", "previous_team_id": "t1"}
        assert _view("/task_list/assigned_to/cc_456", moved) is View.REDACTED
        assert _view("/task_list/assigned_to/cc_456", moved, user="cc_789") is View.HIDDEN
        assert _view("/task_list/team/t1", moved, view_team("t1")) is View.REDACTED
        assert _view("/task_list/team/t2", moved, view_team("t2")) is View.HIDDEN

    def test_notifications_are_for_their_user(self) -> None:
        event = {"type": "notification.task_assigned", "task_id": "task_789", "member_id": "A123456"}
        assert _view("/notifications/cc_456", event) is View.REDACTED
        assert _view("/notifications/cc_456", event, view_phi("A123456")) is View.FULL
        assert _view("/notifications/cc_456", event, view_phi("A123456"), user="cc_789") is View.HIDDEN

    def test_a_feed_entry_about_a_task_needs_the_task_too(self) -> None:
        entry = {"type": "task_updated", "team_id": "t1", "subject": {"type": "task", "id": "task_789", "name": "x"}}
        assert _view("/activity_feed/t1", entry, view_team("t1")) is View.HIDDEN
        assert _view("/activity_feed/t1", entry, view_team("t1"), view_task("task_789")) is View.REDACTED
        assert _view("/activity_feed/t2", entry, view_team("t1"), view_team("t2")) is View.HIDDEN

    def test_a_feed_entry_about_a_patient_is_redacted_without_phi_rights(self) -> None:
        entry = {"type": "note_added", "subject": {"type": "member", "id": "A123456", "name": "John Doe"}}
        assert _view("/activity_feed/t1", entry, view_team("t1")) is View.REDACTED
        assert _view("/activity_feed/t1", entry, view_team("t1"), view_phi("A123456")) is View.FULL

    def test_a_subject_whose_patient_nobody_knows_is_never_shown_whole(self) -> None:
        entry = {"type": "note_added", "subject": {"type": "service_request", "id": "s1", "name": "MRI"}}
        assert _view("/activity_feed/t1", entry, view_team("t1")) is View.REDACTED

    def test_a_cold_decision_is_not_guessed(self) -> None:
        needs = event_needs(parse("/task/task_789"), UPDATED)
        assert needs is not None
        assert view_of(Principal("cc_456"), needs, lambda *_: None) is None
        assert view_of(Principal("cc_456"), needs, lambda _u, permission, *_: permission == "view" or None) is None
        assert (
            view_of(Principal("cc_456"), needs, lambda _u, permission, *_: permission != "view" and None) is View.HIDDEN
        )

    def test_channels_outside_the_care_layer_are_not_judged(self) -> None:
        assert event_needs(parse("/chat/room"), UPDATED) is None

    def test_unknown_care_channels_show_nothing(self) -> None:
        assert _view("/task_list/due/x", UPDATED, view_task("task_789")) is View.HIDDEN


class TestViewOfAnObject:
    def _view(self, kind: str, payload: Mapping[str, object], *granted: Need) -> View | None:
        allowed = {tuple(need) for need in granted}
        return view_of(Principal("cc_456"), object_needs(kind, payload), lambda _user, *need: need in allowed)

    def test_a_row_a_version_and_a_conflict_need_task_and_patient(self) -> None:
        task = {"id": "t", "member_id": "m"}
        for kind, payload in (
            ("task", task),
            ("task_version", {"task_id": "t", "member_id": "m"}),
            ("conflict", {"current_task": task}),
        ):
            assert self._view(kind, payload) is View.HIDDEN
            assert self._view(kind, payload, view_task("t")) is View.REDACTED
            assert self._view(kind, payload, view_task("t"), view_phi("m")) is View.FULL

    def test_a_patient_is_shown_whole_or_not_at_all(self) -> None:
        assert self._view("member", {"id": "m", "name": "John Doe"}) is View.HIDDEN
        assert self._view("member", {"id": "m", "name": "John Doe"}, view_phi("m")) is View.FULL
        assert self._view("service_request", {"id": "s", "member_id": "m"}, view_phi("m")) is View.FULL
        assert self._view("service_request", {"id": "s"}, view_phi("m")) is View.HIDDEN

    def test_a_notification_is_its_users(self) -> None:
        assert self._view("notification", {"user_id": "cc_456", "member_id": "m"}, view_phi("m")) is View.FULL
        assert self._view("notification", {"user_id": "cc_789", "member_id": "m"}, view_phi("m")) is View.HIDDEN
        assert self._view("notification", {"member_id": "m"}, view_phi("m")) is View.HIDDEN

    def test_a_feed_entry_without_team_or_task_is_hidden(self) -> None:
        assert self._view("activity", {"subject": {"type": "member", "id": "m"}}, view_phi("m")) is View.HIDDEN


class TestRedaction:
    def test_a_task_event_keeps_the_work_and_loses_the_patient(self) -> None:
        assert redact("task.updated", UPDATED) == {
            **{name: UPDATED[name] for name in ("event_id", "type", "task_id", "version", "changed_fields")},
            "changed_by": UPDATED["changed_by"],
            "timestamp": UPDATED["timestamp"],
            "task": {"id": "task_789", "status": "in_progress", "redacted": True},
            "redacted": True,
        }

    def test_a_payload_with_nothing_to_hide_is_left_as_it_is(self) -> None:
        event = {"type": "presence.typing", "task_id": "t", "user_id": "u", "field_name": "notes"}
        assert redact("presence.typing", event) == event

    def test_values_that_are_not_of_their_fields_form_are_dropped(self) -> None:
        task = {"id": "John Doe", "status": "see notes, please", "version": "one", "due_date": "his birthday"}
        assert redact("task", task) == {"redacted": True}

    def test_unknown_fields_are_dropped_at_every_depth(self) -> None:
        event = {**UPDATED, "ssn": "1", "changed_by": {"user_id": "u", "ssn": "1"}}
        result = redact("task.updated", event)
        assert "ssn" not in result
        assert result["changed_by"] == {"user_id": "u"}

    def test_of_an_unknown_kind_only_the_envelope_passes(self) -> None:
        event = {"type": "vitals.measured", "event_id": "e1", "timestamp": "2025-11-13T10:00:00Z", "pulse": 61}
        assert redact("vitals.measured", event) == {
            "type": "vitals.measured",
            "event_id": "e1",
            "timestamp": "2025-11-13T10:00:00Z",
            "redacted": True,
        }

    def test_a_patients_id_goes_and_a_tasks_stays_in_a_feed_entry(self) -> None:
        def entry(subject_type: str) -> Mapping[str, object]:
            return redact("activity", {"subject": {"type": subject_type, "id": "A1", "name": "John Doe"}})

        assert entry("member")["subject"] == {"type": "member"}
        assert entry("task")["subject"] == {"type": "task", "id": "A1"}

    def test_null_passes_where_its_field_does(self) -> None:
        assert redact("task", {"id": "t", "assigned_to": None, "member_id": None}) == {
            "id": "t",
            "assigned_to": None,
            "redacted": True,
        }

    def test_lists_and_maps_lose_what_does_not_fit(self) -> None:
        assert redact("conflict", {"changed_fields": {"yours": ["notes", "the patient"], "a b": ["x"]}}) == {
            "changed_fields": {"yours": ["notes"]},
            "redacted": True,
        }

    def test_each_view_shows_its_own(self) -> None:
        assert shown(View.FULL, "task.updated", UPDATED) is UPDATED
        assert shown(View.REDACTED, "task.updated", UPDATED) == redact("task.updated", UPDATED)
        assert shown(View.HIDDEN, "task.updated", UPDATED) is None


class TestTheTable:
    EVENTS = sorted(name for name in care_schemas() if name.startswith(("task.", "presence.", "notification.")))

    @pytest.mark.parametrize("kind", ["task", "conflict", "activity", "error", *EVENTS])
    def test_it_names_every_field_of_every_schema(self, kind: str) -> None:
        """A new field is either allowed or PHI by decision, not by oversight."""
        properties = care_schemas().documents[kind]["properties"]
        assert isinstance(properties, dict)
        assert set(properties) - set(shape_of(kind).fields) == set()

    def test_what_identifies_a_patient_is_phi(self) -> None:
        assert {
            "title", "notes", "completion_notes", "reason", "member_id", "member_name", "task_title", "message",
            "note_preview", "name",
        } <= PHI_FIELDS  # fmt: skip


class TestLogsAndMetrics:
    def test_phi_fields_and_whole_payloads_are_taken_out_of_log_lines(self) -> None:
        line: dict[str, object] = {
            "event": "task.saved", "notes": "Called", "payload": {"a": 1}, "body": b"{}", "count": 3,
            "reason": "stale_version", "message": "John called",
        }  # fmt: skip
        assert scrub_log(None, "info", line) == {
            "event": "task.saved", "notes": "[redacted]", "payload": "[redacted]", "body": "[redacted]", "count": 3,
            "reason": "stale_version", "message": "[redacted]",
        }  # fmt: skip

    def test_what_the_logger_itself_passes_along_is_left(self) -> None:
        line: dict[str, object] = {"event": "x", "exc_info": (ValueError, ValueError(), None), "_record": [1]}
        assert scrub_log(None, "error", line) == line

    def test_labels_are_of_a_known_set(self) -> None:
        roles = frozenset({"rsa", "clinician"})
        assert metric_label("rsa", roles) == "rsa"
        assert metric_label("John Doe", roles) == "other"
        assert metric_label(None, roles) == "other"

"""Where events go."""

import pytest

from channels.routes import channels_of

TASK = {"id": "task_789", "assigned_to": "cc_789", "member_id": "A123456", "team_id": "team_1"}


class TestChannelsOf:
    @pytest.mark.parametrize("kind", ["created", "updated", "assigned", "completed", "deleted"])
    def test_a_task_event_goes_to_the_task_and_to_each_list_it_is_in(self, kind: str) -> None:
        assert channels_of({"type": f"task.{kind}", "task_id": "task_789", "task": TASK}) == (
            "/task/task_789",
            "/task_list/assigned_to/cc_789",
            "/task_list/member/A123456",
            "/task_list/team/team_1",
        )

    def test_a_reassignment_reaches_the_old_and_the_new_assignee(self) -> None:
        event = {"type": "task.assigned", "task_id": "task_789", "task": TASK, "previous_assigned_to": "cc_456"}
        assert {"/task_list/assigned_to/cc_789", "/task_list/assigned_to/cc_456"} <= set(channels_of(event))

    def test_a_move_reaches_both_teams(self) -> None:
        event = {"type": "task.updated", "task_id": "task_789", "task": TASK, "previous_team_id": "team_2"}
        assert {"/task_list/team/team_1", "/task_list/team/team_2"} <= set(channels_of(event))

    def test_an_event_that_knows_little_goes_where_it_can(self) -> None:
        assert channels_of({"type": "task.assigned", "task_id": "t", "task": {"id": "t"}}) == ("/task/t",)

    def test_presence_goes_to_the_task_and_its_presence(self) -> None:
        event = {"type": "presence.typing", "task_id": "task_789"}
        assert channels_of(event) == ("/task/task_789", "/task/task_789/presence")

    def test_a_notification_goes_to_its_user_alone(self) -> None:
        event = {"type": "notification.task_assigned", "user_id": "cc_789", "task_id": "task_789"}
        assert channels_of(event) == ("/notifications/cc_789",)

    def test_activity_goes_to_the_teams_feed(self) -> None:
        assert channels_of({"type": "note_added", "team_id": "team_1"}) == ("/activity_feed/team_1",)

    def test_a_type_without_roads_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            channels_of({"type": "task.exploded", "task_id": "task_789"})

"""What each care channel asks for, row by row of the table in :mod:`channels.policy`."""

import pytest

from bayeux_server.protocol.channel_id import ChannelGrammar
from channels.policy import (
    NEVER,
    SYSTEM_ONLY,
    Need,
    Permission,
    Principal,
    decided,
    edit_task,
    own,
    to_publish,
    to_subscribe,
    view_phi,
    view_task,
    view_team,
)

parse = ChannelGrammar().parse


class TestSubscribing:
    @pytest.mark.parametrize(
        ("channel", "need"),
        [
            ("/task/task_789", view_task("task_789")),
            ("/task/task_789/presence", view_task("task_789")),
            ("/task_list/assigned_to/cc_456", own("cc_456")),
            ("/task_list/member/A123456", view_phi("A123456")),
            ("/task_list/team/t1", view_team("t1")),
            ("/notifications/cc_456", own("cc_456")),
            ("/activity_feed/t1", view_team("t1")),
        ],
    )
    def test_each_channel_of_the_table_has_its_need(self, channel: str, need: Need) -> None:
        assert to_subscribe(parse(channel)) == need

    @pytest.mark.parametrize(
        "channel",
        [
            "/task",
            "/task/1/2",
            "/task/1/presence/x",
            "/task_list",
            "/task_list/a",
            "/task_list/due/x",
            "/notifications",
        ],
    )
    def test_what_the_table_does_not_name_is_for_nobody(self, channel: str) -> None:
        assert to_subscribe(parse(channel)) == NEVER

    @pytest.mark.parametrize("pattern", ["/task/task_789/*", "/task/task_789/**"])
    def test_a_pattern_within_one_task_needs_that_task(self, pattern: str) -> None:
        assert to_subscribe(parse(pattern)) == view_task("task_789")

    @pytest.mark.parametrize(
        "pattern", ["/**", "/task/*", "/task/**", "/task_list/**", "/task_list/team/*", "/notifications/*"]
    )
    def test_a_pattern_over_several_objects_is_for_services(self, pattern: str) -> None:
        assert to_subscribe(parse(pattern)) == SYSTEM_ONLY

    @pytest.mark.parametrize("channel", ["/chat/room", "/chat/**", "/*", "/tasks/1", "/service/task/get"])
    def test_other_channels_are_not_judged_here(self, channel: str) -> None:
        assert to_subscribe(parse(channel)) is None


class TestPublishing:
    def test_services_publish_on_a_task(self) -> None:
        assert to_publish(parse("/task/task_789")) == SYSTEM_ONLY

    @pytest.mark.parametrize("channel", ["/task/1/presence", "/task_list/team/t1", "/notifications/u", "/task/*"])
    def test_no_session_publishes_on_derived_channels(self, channel: str) -> None:
        assert to_publish(parse(channel)) == NEVER

    def test_other_channels_are_not_judged_here(self) -> None:
        assert to_publish(parse("/chat/room")) is None


def _yes(user_id: str, permission: str, object_type: str, object_id: str) -> bool:
    return True


def _no(user_id: str, permission: str, object_type: str, object_id: str) -> bool:
    return False


class TestDeciding:
    def test_without_a_principal_nothing_is_granted(self) -> None:
        assert decided(None, view_task("1"), _yes) is False

    def test_the_checker_is_asked_by_name(self) -> None:
        asked: list[tuple[str, ...]] = []

        def decide(*question: str) -> None:
            asked.append(question)

        assert decided(Principal("cc_456"), edit_task("1"), decide) is None
        assert asked == [("cc_456", "edit", "task", "1")]

    def test_ones_own_is_decided_without_the_checker(self) -> None:
        assert decided(Principal("cc_456"), own("cc_456"), _no) is True
        assert decided(Principal("cc_789"), own("cc_456"), _yes) is False

    def test_a_service_passes_and_a_person_does_not_pass_for_one(self) -> None:
        assert decided(Principal("careflow", frozenset({"system"})), SYSTEM_ONLY, _no) is True
        assert decided(Principal("cc_456", frozenset({"care_coordinator"})), SYSTEM_ONLY, _yes) is False

    def test_never_holds_for_services_too(self) -> None:
        assert decided(Principal("careflow", frozenset({"system"})), NEVER, _yes) is False

    def test_permissions_are_written_as_the_schema_writes_them(self) -> None:
        assert [str(each) for each in Permission][:3] == ["view", "edit", "view_phi"]

"""The people of the care benchmarks see what the benchmarks say that they see."""

import msgspec

from bayeux_server.protocol.channel_id import ChannelId
from benchmarks.care.world import commits, crew
from channels.policy import Principal, decided, to_subscribe
from channels.relations import Relation
from channels.tasks.changes import TaskChanges, updated
from channels.tasks.events import event_of
from channels.views import View, event_needs, view_of
from extensions.authorization.graph import RelationGraph
from extensions.authorization.ports import Check
from extensions.authorization.schema import packaged_schema

TEAM = crew("east", coordinators=20, tasks=3)


def relations() -> set[Relation]:
    return {relation for commit in commits(TEAM) for _, relation in commit.relations}


class TestCrew:
    def test_everybody_gets_the_view_they_are_said_to_have(self) -> None:
        graph = RelationGraph(packaged_schema(), relations())
        task, by = TEAM.tasks[0], TEAM.editors[0].user
        after = updated(task, TaskChanges(notes="other"), by=by, at=task.created_at)
        event = msgspec.to_builtins(event_of(task, after, event_id="ev_1", by=by))
        channel = ChannelId(TEAM.task_list, tuple(TEAM.task_list.split("/")[1:]))
        needs, to_follow = event_needs(channel, event), to_subscribe(channel)
        assert needs is not None
        assert to_follow is not None

        def decide(*question: str) -> bool:
            return graph.check(Check(*question))

        for each in TEAM.coordinators:
            principal = Principal(each.user.user_id)
            assert view_of(principal, needs, decide) is each.view
            assert decided(principal, to_follow, decide)

    def test_half_see_all_three_in_ten_a_part_and_two_nothing(self) -> None:
        views = [each.view for each in TEAM.coordinators]
        assert [views.count(view) for view in (View.FULL, View.REDACTED, View.HIDDEN)] == [10, 6, 4]

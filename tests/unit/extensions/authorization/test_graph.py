"""Corners of the relation graph; that its answers are right is shown beside a real SpiceDB."""

from channels.relations import Relation, changes_between, relation_of_staff, relations_of_member, relations_of_task
from extensions.authorization.graph import RelationGraph
from extensions.authorization.ports import Check
from extensions.authorization.schema import packaged_schema, parse_schema
from tests.support.relations import relation, touch


class TestRelationGraph:
    def test_cycles_end(self) -> None:
        schema = parse_schema("definition user {}\ndefinition group {\nrelation member: user | group#member\n}")
        ring = [relation("group:a#member@group:b#member"), relation("group:b#member@group:a#member")]
        assert not RelationGraph(schema, ring).check(Check("u", "member", "group", "a"))
        joined = [*ring, relation("group:b#member@user:u")]
        assert RelationGraph(schema, joined).check(Check("u", "member", "group", "a"))

    def test_cycles_end_for_many_who_ask_together(self) -> None:
        schema = parse_schema("definition user {}\ndefinition group {\nrelation member: user | group#member\n}")
        ring = ("group:a#member@group:b#member", "group:b#member@group:a#member", "group:b#member@user:u")
        graph = RelationGraph(schema, [*map(relation, ring), relation("group:a#member@user:v")])
        assert graph.holders(("u", "v", "w"), "member", "group", "a") == {"u", "v"}
        assert graph.holders(("u", "v", "w"), "member", "group", "b") == {"u", "v"}

    def test_relations_the_schema_has_no_place_for_are_left_out_and_counted(self) -> None:
        graph = RelationGraph(packaged_schema())
        assert graph.apply(touch("task:1#owner@user:u", "task:1#assignee@team:t")) == {("task", "1")}
        assert len(graph) == 0
        assert graph.refused == 2


class TestRelationsOfRows:
    def test_a_task_gives_its_assignee_team_and_patient(self) -> None:
        row = {"id": "1", "assigned_to": "cc", "team_id": "north", "member_id": "A1"}
        assert relations_of_task(row) == {
            relation("task:1#assignee@user:cc"), relation("task:1#team@team:north"), relation("task:1#member@member:A1")
        }  # fmt: skip
        assert relations_of_task({"id": "1", "assigned_to": None}) == set()

    def test_every_relation_made_from_rows_is_in_the_schema(self) -> None:
        made: set[Relation] = {
            *relations_of_task({"id": "1", "assigned_to": "cc", "team_id": "north", "member_id": "A1"}),
            *relations_of_member("A1", team_ids=["north"], care_team=["chen"]),
            *(relation_of_staff("u", role, "north") for role in ("care_coordinator", "clinician", "rsa")),
        }
        assert len(made) == 8
        assert all(map(packaged_schema().admits, made))

    def test_the_way_from_one_set_to_another(self) -> None:
        before = relations_of_task({"id": "1", "assigned_to": "cc", "team_id": "north"})
        after = relations_of_task({"id": "1", "assigned_to": "dd", "team_id": "north"})
        changes = changes_between(before, after, revision=7)
        assert [(change.operation, change.relation.subject_id) for change in changes] == [
            ("delete", "cc"),
            ("touch", "dd"),
        ]
        assert {change.revision for change in changes} == {7}

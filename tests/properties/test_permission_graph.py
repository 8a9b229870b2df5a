"""The embedded relation graph answers as a real SpiceDB does, on random graphs."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.relations import Operation, Relation, RelationChange
from extensions.authorization.graph import RelationGraph
from extensions.authorization.ports import Check
from extensions.authorization.schema import Schema, packaged_schema, parse_schema
from extensions.authorization.spicedb import SpiceDBChecker
from extensions.authorization.spicedb_client import Connection
from tests.support.examples import examples
from tests.support.relations import RecordingWatcher
from tests.support.services.spicedb import SpiceDB

#: Everything the embedded checker understands: subjects that are relations or permissions, nested groups, arrows over
#: several types of which not all have the target, unions of unions.
WIDE = parse_schema("""
definition user {}
definition group {
    relation member: user | group#member | team#lead
}
definition team {
    relation lead: user
    relation staff: user | group#member
    permission work = lead + staff
}
definition member {
    relation team: team
    relation care_team: user | team#work | group#member
    permission view_phi = care_team + team->work
}
definition task {
    relation owner: user | team | group#member
    relation member: member
    permission edit = owner + owner->lead
    permission view = edit + member->view_phi + owner->member
}
""")

USERS = ("user0", "user1", "user2")


def _relations(schema: Schema) -> st.SearchStrategy[list[Relation]]:
    """Any relations the schema admits, over three objects of each type; objects only point to later ones.

    That keeps them free of cycles, which a real SpiceDB answers with an error.
    """
    kinds = [
        (object_type, name, subject.type, subject.relation)
        for object_type, definition in schema.definitions.items()
        for name, subjects in definition.relations.items()
        for subject in sorted(subjects)
    ]
    numbers = st.integers(0, 2)

    def build(kind: tuple[str, str, str, str], here: int, there: int) -> Relation:
        object_type, name, subject_type, subject_relation = kind
        return Relation(
            object_type, f"{object_type}{here}", name, subject_type, f"{subject_type}{there}", subject_relation
        )

    drawn = st.builds(build, st.sampled_from(kinds), numbers, numbers)
    forward = drawn.filter(lambda each: each.object_type != each.subject_type or each.object_id < each.subject_id)
    acyclic = forward.filter(lambda each: (each.object_type, each.subject_type) != ("group", "team"))
    return st.lists(forward if schema is not WIDE else acyclic | forward.filter(_lead), max_size=25, unique=True)


def _lead(relation: Relation) -> bool:
    return relation.subject_relation == "lead"


def _questions(schema: Schema) -> list[Check]:
    return [
        Check(user, name, object_type, f"{object_type}{number}")
        for object_type, definition in schema.definitions.items()
        for name in (*definition.permissions, *definition.relations)
        for number in range(3)
        for user in USERS
    ]


async def _answers_of_spicedb(server: SpiceDB, schema: Schema, relations: list[Relation]) -> list[bool]:
    connection = Connection(server.target, server.new_token(), plaintext=True, timeout_s=30)
    checker = SpiceDBChecker(schema, connection, write_schema=True)
    watcher = RecordingWatcher()
    await checker.start(watcher)
    changes = [RelationChange(0, Operation.TOUCH, relation) for relation in relations]
    token = await checker.write(changes) if changes else watcher.token
    answers = await checker.check_bulk(_questions(schema), at_least=token)
    await checker.stop()
    return answers


@pytest.mark.parametrize("schema", [packaged_schema(), WIDE], ids=["packaged", "wide"])
def test_the_embedded_graph_agrees_with_spicedb(spicedb_server: SpiceDB, schema: Schema) -> None:
    @settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(_relations(schema))
    def agree(relations: list[Relation]) -> None:
        graph = RelationGraph(schema, relations)
        ours = list(map(graph.check, _questions(schema)))
        assert ours == [each.user_id in graph.holders(USERS, *each[1:]) for each in _questions(schema)]
        assert ours == asyncio.run(_answers_of_spicedb(spicedb_server, schema, relations))

    agree()


@given(_relations(packaged_schema()), st.data())
def test_taking_relations_out_again_leaves_no_trace(relations: list[Relation], data: st.DataObject) -> None:
    schema = packaged_schema()
    kept = data.draw(st.lists(st.sampled_from(relations), unique=True)) if relations else []
    graph = RelationGraph(schema, relations)
    graph.apply(RelationChange(1, Operation.DELETE, each) for each in relations if each not in kept)
    expected = RelationGraph(schema, kept)
    assert len(graph) == len(expected)
    assert list(map(graph.check, _questions(schema))) == list(map(expected.check, _questions(schema)))


@given(_relations(packaged_schema()))
def test_a_change_touches_no_object_beyond_those_it_names(relations: list[Relation]) -> None:
    """What invalidation rests on: every decision that a change turns is on a named object or a touched type."""
    schema = packaged_schema()
    for gone in relations:
        before, after = RelationGraph(schema, relations), RelationGraph(schema, relations)
        objects = after.apply([RelationChange(1, Operation.DELETE, gone)])
        types = schema.touched_by({object_type for object_type, _ in objects})
        for check in _questions(schema):
            if before.check(check) != after.check(check):
                assert check[2:] in objects or check.object_type in types

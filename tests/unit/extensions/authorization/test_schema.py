"""Reading the schema: what is understood, and that nothing is half understood."""

import pytest

from bayeux_server.errors import LocalError
from channels.relations import Relation
from extensions.authorization.schema import packaged_schema, parse_schema


class TestReading:
    def test_the_packaged_schema_is_the_one_in_conf(self) -> None:
        from pathlib import Path

        conf = Path(__file__).parents[4] / "conf" / "spicedb" / "schema.zed"
        assert conf.read_text() == packaged_schema().text

    def test_comments_and_white_space_do_not_matter(self) -> None:
        schema = parse_schema(
            "/* a\n b */ definition user {}\n\ndefinition team { // the team\n\trelation lead :  user\n}"
        )
        assert schema.admits(Relation("team", "t", "lead", "user", "u"))

    @pytest.mark.parametrize(
        "member",
        [
            "relation lead: user:*",
            "relation lead: user with caveat",
            "relation lead: nobody",
            "relation lead: user#missing",
            "relation lead",
            "permission see = missing",
            "permission see = owner - owner",
            "permission see = owner & owner",
            "permission see = (owner)",
            "permission see = owner.any(lead)",
            "permission see = see->x->y",
            "permission owner = owner",
            "relation owner: user",
            "definition inner {}",
        ],
    )
    def test_what_is_not_understood_is_refused(self, member: str) -> None:
        with pytest.raises(LocalError, match="schema"):
            parse_schema(f"definition user {{}}\ndefinition team {{\nrelation owner: user\n{member}\n}}")

    def test_definitions_are_closed_and_made_once(self) -> None:
        with pytest.raises(LocalError, match="not closed"):
            parse_schema("definition user {")
        with pytest.raises(LocalError, match="line 2"):
            parse_schema("definition user {}\ndefinition user {}")


class TestWhatAChangeTouches:
    def test_types_above_the_changed_one(self) -> None:
        schema = packaged_schema()
        assert schema.touched_by({"team"}) == {"member", "task"}
        assert schema.touched_by({"member"}) == {"task"}
        assert schema.touched_by({"task"}) == frozenset()

    def test_a_type_that_nests_touches_itself(self) -> None:
        schema = parse_schema("definition user {}\ndefinition group {\nrelation member: user | group#member\n}")
        assert schema.touched_by({"group"}) == {"group"}

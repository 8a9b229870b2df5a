"""The relation graph: facts in sets, and the walk that finds for whom a permission follows from them.

One walk answers for everybody who asks about an object: the sets of subjects that it comes by are taken out of the set
of those who ask, so that the same nodes are visited for one as for hundreds. Only unions exist, so that a node seen
before has let in whom it lets in, or is being walked: cycles end by themselves (where SpiceDB answers with an error at
its depth limit).
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from channels.relations import Operation, Relation, RelationChange
from extensions.authorization.ports import Check
from extensions.authorization.schema import Schema

_Node = tuple[str, str, str]  # type, id, relation or permission


class RelationGraph:
    """What is known of who stands in which relation to what.

    Args:
        schema: Says which relations there may be and what they give.
        relations: To begin with. Those that the schema has no place for are left out, as in :meth:`apply`.
    """

    def __init__(self, schema: Schema, relations: Iterable[Relation] = ()) -> None:
        self._schema = schema
        self._subjects: dict[_Node, set[_Node]] = {}
        #: Types and relations whose subjects may be relations in their turn.
        self._nesting = {
            (object_type, name)
            for object_type, definition in schema.definitions.items()
            for name, subjects in definition.relations.items()
            if any(subject.relation for subject in subjects)
        }
        self.refused = 0
        for relation in relations:
            self._touch(relation)

    def __len__(self) -> int:
        return sum(map(len, self._subjects.values()))

    def apply(self, changes: Iterable[RelationChange]) -> frozenset[tuple[str, str]]:
        """Make changes and return the (type, id) of the objects whose relations were named.

        A relation that the schema has no place for gives nobody anything: it is left out, and counted in ``refused``.
        """
        changed = set()
        for change in changes:
            if change.operation is Operation.TOUCH:
                self._touch(change.relation)
            else:
                self._delete(change.relation)
            changed.add((change.relation.object_type, change.relation.object_id))
        return frozenset(changed)

    def check(self, check: Check) -> bool:
        """Return whether the permission follows from the relations. Unknown types and permissions follow from none."""
        return bool(self.holders((check.user_id,), *check[1:]))

    def holders(self, user_ids: Iterable[str], permission: str, object_type: str, object_id: str) -> AbstractSet[str]:
        """Return those of the users for whom the permission follows, as :meth:`check` says of each alone."""
        users: set[_Node] = {("user", user_id, "") for user_id in user_ids}
        outside = users.copy()
        self._let_in(outside, object_type, object_id, permission, set())
        return {user_id for _, user_id, _ in users - outside}

    def _let_in(self, outside: set[_Node], object_type: str, object_id: str, name: str, seen: set[_Node]) -> None:
        """Take everybody out of ``outside`` who stands in this relation, or has this permission."""
        node = (object_type, object_id, name)
        definition = self._schema.definitions.get(object_type)
        if definition is None or node in seen or not outside:
            return
        seen.add(node)
        if name in definition.relations:
            self._let_in_subjects(outside, node, seen)
        for term in definition.permissions.get(name, ()):
            if term.target:
                self._let_in_by_arrow(outside, (object_type, object_id, term.name), term.target, seen)
            else:
                self._let_in(outside, object_type, object_id, term.name, seen)

    def _let_in_subjects(self, outside: set[_Node], node: _Node, seen: set[_Node]) -> None:
        subjects = self._subjects.get(node)
        if not subjects:
            return
        # In the time of the smaller set: one who asks about a team of thousands, or the other way round.
        outside -= outside & subjects
        if (node[0], node[2]) in self._nesting:
            for subject in subjects:
                if subject[2]:
                    self._let_in(outside, *subject, seen)

    def _let_in_by_arrow(self, outside: set[_Node], node: _Node, target: str, seen: set[_Node]) -> None:
        """An arrow goes over the subjects themselves; ``type#relation`` stands for its object there, as in SpiceDB."""
        for subject_type, subject_id, _ in self._subjects.get(node, ()):
            self._let_in(outside, subject_type, subject_id, target, seen)

    def _touch(self, relation: Relation) -> None:
        if not self._schema.admits(relation):
            self.refused += 1
            return
        node, subject = relation[:3], relation[3:]
        self._subjects.setdefault(node, set()).add(subject)

    def _delete(self, relation: Relation) -> None:
        node, subject = relation[:3], relation[3:]
        subjects = self._subjects.get(node)
        if subjects is not None:
            subjects.discard(subject)
            if not subjects:
                del self._subjects[node]

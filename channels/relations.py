"""Who stands in which relation to what: the facts from which permissions follow.

A relation reads like SpiceDB's tuples: ``task:task_789#assignee@user:cc_456``. The relations that exist, and which
permissions they give, are written down once, in ``conf/spicedb/schema.zed``; both permission checkers read that file.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class Relation(NamedTuple):
    """One fact: the subject stands in ``relation`` to the object.

    ``subject_relation`` is empty for the subject itself, or names a relation or permission of it ("everybody who is
    ``staff`` of that team").
    """

    object_type: str
    object_id: str
    relation: str
    subject_type: str
    subject_id: str
    subject_relation: str = ""


class Operation(StrEnum):
    """What a change does. Both may be repeated without further effect."""

    TOUCH = "touch"
    DELETE = "delete"


class RelationChange(NamedTuple):
    """One relation put in or taken out, at a revision of its source. Revisions rise; several changes may share one."""

    revision: int
    operation: Operation
    relation: Relation


class RelationSource(Protocol):
    """Keeps the relations, in the same store and the same transactions as the rows they follow from.

    Contract: a change is visible in :meth:`changes` before any event of the same transaction is delivered, so that
    nobody is judged by relations older than the event.
    """

    async def snapshot(self) -> tuple[int, Sequence[Relation]]:
        """Return the newest revision and every relation that holds at it."""

    def changes(self, after_revision: int) -> AsyncIterator[Sequence[RelationChange]]:
        """Yield the changes above ``after_revision``, in order, waiting for more.

        Ends or raises when the stream breaks (or when ``after_revision`` is no longer kept): the reader then takes a
        new snapshot.
        """


def relations_of_task(task: Mapping[str, object]) -> frozenset[Relation]:
    """Return the relations that a task's row implies; a deleted task (``status`` ``deleted``) keeps them.

    Args:
        task: With ``id``; ``assigned_to``, ``team_id`` and ``member_id`` where it has them.
    """
    task_id = str(task["id"])
    subjects = (("assignee", "user", "assigned_to"), ("team", "team", "team_id"), ("member", "member", "member_id"))
    return frozenset(
        Relation("task", task_id, relation, subject_type, str(task[field]))
        for relation, subject_type, field in subjects
        if task.get(field)
    )


def relations_of_member(
    member_id: str, *, team_ids: Iterable[str] = (), care_team: Iterable[str] = ()
) -> frozenset[Relation]:
    """Return the relations of one patient: the teams that care for them, and the people named in their care team."""
    teams = (Relation("member", member_id, "team", "team", team_id) for team_id in team_ids)
    people = (Relation("member", member_id, "care_team", "user", user_id) for user_id in care_team)
    return frozenset((*teams, *people))


def relation_of_staff(user_id: str, role: str, team_id: str) -> Relation:
    """Return the relation of a person who works in a team as ``care_coordinator``, ``clinician`` or ``rsa``."""
    return Relation("team", team_id, role, "user", user_id)


def changes_between(
    before: frozenset[Relation], after: frozenset[Relation], *, revision: int
) -> tuple[RelationChange, ...]:
    """Return what leads from one set of relations to the other, in a stable order."""
    gone = (RelationChange(revision, Operation.DELETE, relation) for relation in sorted(before - after))
    new = (RelationChange(revision, Operation.TOUCH, relation) for relation in sorted(after - before))
    return (*gone, *new)

"""Ids as SpiceDB can write them.

SpiceDB admits ``A-Z a-z 0-9 / _ | - = +``; a user id may have any character. What is not admitted, and ``=`` itself,
becomes ``=`` and two hexadecimal digits for each byte of its UTF-8, so that no two ids meet.
"""

import re
from typing import Final

from authzed.api import v1

from channels.relations import Relation
from extensions.authorization.ports import Check

_OUTSIDE: Final = re.compile(r"[^A-Za-z0-9/_|\-+]")
_ESCAPED: Final = re.compile(r"(?:=[0-9A-F]{2})+")


def to_spicedb(name: str) -> str:
    """Return ``name`` with everything outside SpiceDB's alphabet escaped."""
    return _OUTSIDE.sub(lambda match: "".join(f"={byte:02X}" for byte in match[0].encode()), name)


def from_spicedb(name: str) -> str:
    """Undo :func:`to_spicedb`."""
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[0].replace("=", "")).decode(errors="replace"), name)


def item_of(check: Check) -> v1.CheckBulkPermissionsRequestItem:
    """Return a check as a member of a bulk request."""
    return v1.CheckBulkPermissionsRequestItem(
        resource=_object(check.object_type, check.object_id),
        permission=check.permission,
        subject=v1.SubjectReference(object=_object("user", check.user_id)),
    )


def relationship_of(relation: Relation) -> v1.Relationship:
    """Return a relation as SpiceDB writes it."""
    return v1.Relationship(
        resource=_object(relation.object_type, relation.object_id),
        relation=relation.relation,
        subject=v1.SubjectReference(
            object=_object(relation.subject_type, relation.subject_id), optional_relation=relation.subject_relation
        ),
    )


def relation_of(relationship: v1.Relationship) -> Relation:
    """Undo :func:`relationship_of`."""
    subject = relationship.subject
    return Relation(
        *object_of(relationship.resource), relationship.relation, *object_of(subject.object), subject.optional_relation
    )


def object_of(reference: v1.ObjectReference) -> tuple[str, str]:
    """Return (type, id) of a reference."""
    return reference.object_type, from_spicedb(reference.object_id)


def _object(object_type: str, object_id: str) -> v1.ObjectReference:
    return v1.ObjectReference(object_type=object_type, object_id=to_spicedb(object_id))

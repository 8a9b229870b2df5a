"""Reads the part of SpiceDB's schema language that the embedded checker understands.

Understood: ``definition``; ``relation`` to one or more ``type`` or ``type#relation``; ``permission`` as a union (``+``)
of names and arrows (``relation->permission``); ``//`` and ``/* */`` comments; one statement a line. Anything else is
refused with its line, so that no rule is ever half understood.

Source: SpiceDB's schema language reference.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from importlib.resources import files
from typing import Final, NamedTuple

import msgspec

from bayeux_server.errors import LocalError
from channels.relations import Relation

_NAME: Final = r"[a-z][a-z0-9_]{1,62}[a-z0-9]"
_COMMENT: Final = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DEFINITION: Final = re.compile(rf"definition ((?:{_NAME}/)?{_NAME}) ?\{{ ?(\}})?")
_RELATION: Final = re.compile(rf"relation ({_NAME}) ?: ?(.+)")
_PERMISSION: Final = re.compile(rf"permission ({_NAME}) ?= ?(.+)")
_SUBJECT: Final = re.compile(rf"((?:{_NAME}/)?{_NAME})(?:#({_NAME}))?")
_TERM: Final = re.compile(rf"({_NAME})(?: ?-> ?({_NAME}))?")


class Subject(NamedTuple):
    """What may stand in a relation: a type itself, or whoever stands in ``relation`` to an object of it."""

    type: str
    relation: str = ""


class Term(NamedTuple):
    """One member of a union: a relation or permission of the object itself; with ``target``, that of its subjects."""

    name: str
    target: str = ""


class Definition(msgspec.Struct, frozen=True):
    """One type: the subjects of its relations, and the unions that are its permissions."""

    relations: Mapping[str, frozenset[Subject]]
    permissions: Mapping[str, tuple[Term, ...]]

    def has(self, name: str) -> bool:
        """Whether ``name`` is a relation or permission of this type."""
        return name in self.relations or name in self.permissions


class Schema:
    """A checked schema."""

    def __init__(self, definitions: Mapping[str, Definition], text: str) -> None:
        self.definitions = definitions
        #: The source, to be written to SpiceDB.
        self.text = text

    def admits(self, relation: Relation) -> bool:
        """Return whether the schema has a place for this relation."""
        definition = self.definitions.get(relation.object_type)
        subjects = definition.relations.get(relation.relation, frozenset()) if definition else frozenset()
        return Subject(relation.subject_type, relation.subject_relation) in subjects

    def touched_by(self, object_types: Collection[str]) -> frozenset[str]:
        """Return the types whose permissions can change when relations of objects of ``object_types`` do.

        The types themselves are among them only where objects of a type depend on others of the same type.
        """
        found = [dependent for each in object_types for dependent in self._dependents.get(each, frozenset())]
        reached: set[str] = set()
        while found:
            each = found.pop()
            if each not in reached:
                reached.add(each)
                found.extend(self._dependents.get(each, ()))
        return frozenset(reached)

    @cached_property
    def _dependents(self) -> dict[str, frozenset[str]]:
        """Type -> the types that have it as a subject somewhere."""
        pairs = {
            (subject.type, name)
            for name, definition in self.definitions.items()
            for subjects in definition.relations.values()
            for subject in subjects
        }
        return {used: frozenset(user for each, user in pairs if each == used) for used, _ in pairs}


def packaged_schema() -> Schema:
    """Return the schema of the care channels (``conf/spicedb/schema.zed`` is the same file)."""
    return parse_schema(files("extensions.authorization").joinpath("schema.zed").read_text(encoding="utf-8"))


def parse_schema(text: str) -> Schema:
    """Read a schema.

    Raises:
        LocalError: If it says something that is not understood or not defined; the text names the line.
    """
    builders: dict[str, tuple[dict[str, frozenset[Subject]], dict[str, tuple[Term, ...]]]] = {}
    current: str | None = None
    for number, line in _statements(text):
        if current is None:
            current = _opened(number, line, builders)
        elif line == "}":
            current = None
        else:
            _read_member(number, line, *builders[current])
    if current is not None:
        raise LocalError(f"schema: definition {current} is not closed")
    schema = Schema({name: Definition(*parts) for name, parts in builders.items()}, text)
    _check_references(schema)
    return schema


def _statements(text: str) -> Iterator[tuple[int, str]]:
    plain = _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, line in enumerate(plain.splitlines(), start=1):
        statement = " ".join(line.split())
        if statement:
            yield number, statement


def _opened(
    number: int, line: str, builders: dict[str, tuple[dict[str, frozenset[Subject]], dict[str, tuple[Term, ...]]]]
) -> str | None:
    match = _DEFINITION.fullmatch(line)
    if match is None or match[1] in builders:
        raise LocalError(f"schema, line {number}: not a new definition")
    builders[match[1]] = ({}, {})
    return None if match[2] else match[1]


def _read_member(
    number: int, line: str, relations: dict[str, frozenset[Subject]], permissions: dict[str, tuple[Term, ...]]
) -> None:
    if match := _RELATION.fullmatch(line):
        subjects = [_SUBJECT.fullmatch(part.strip()) for part in match[2].split("|")]
        if match[1] not in relations and match[1] not in permissions and all(subjects):
            relations[match[1]] = frozenset(Subject(each[1], each[2] or "") for each in subjects if each)
            return
    elif match := _PERMISSION.fullmatch(line):
        terms = [_TERM.fullmatch(part.strip()) for part in match[2].split("+")]
        if match[1] not in relations and match[1] not in permissions and all(terms):
            permissions[match[1]] = tuple(Term(each[1], each[2] or "") for each in terms if each)
            return
    raise LocalError(f"schema, line {number}: neither a relation nor a permission of the kinds understood")


def _check_references(schema: Schema) -> None:
    definitions = schema.definitions
    for name, definition in definitions.items():
        for relation, subjects in definition.relations.items():
            for subject in subjects:
                known = definitions.get(subject.type)
                if known is None or (subject.relation and not known.has(subject.relation)):
                    raise LocalError(f"schema: {name}#{relation} has an unknown subject")
        for permission, terms in definition.permissions.items():
            for term in terms:
                if not (term.name in definition.relations if term.target else definition.has(term.name)):
                    raise LocalError(f"schema: {name}#{permission} uses {term.name}, which is not there")

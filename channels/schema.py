"""JSON Schemas of every body, message and event, compiled once and asked often.

The files in ``channels/schemas`` are Draft 2020-12. ``jsonschema`` checks each file when it is registered, and is the
reference in the tests; requests and events are checked by ``jsonschema_rs``, compiled from the same files.

Formats are asserted: ``2025-02-30`` is no date.

A refusal names the field, the rule and the type of the value. It never holds the value, which may be PHI.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import jsonschema_rs
from jsonschema import Draft202012Validator as ReferenceValidator

_PREFIX: Final = "urn:care:"
#: Field names that a refusal may repeat. Anything else a client made up, and it may be PHI.
_NAMEABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
#: Every other schema is a body, a message or a part.
_EVENT_PREFIXES: Final = ("task.", "presence.", "notification.")
_TYPE_NAMES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


class SchemaViolationError(ValueError):
    """A document that its schema refuses.

    Attributes:
        schema: Name of the schema, such as ``task.updated``.
        field: Dotted path of the field, "" for the document itself; array positions are numbers.
        rule: The keyword that refused, such as ``maxLength``.
        value_type: JSON type of what was found there, ``missing`` for a required field that is not there.
    """

    def __init__(self, schema: str, field: str, rule: str, value_type: str) -> None:
        self.schema = schema
        self.field = field
        self.rule = rule
        self.value_type = value_type
        super().__init__(f"{field or 'document'}: breaks {rule} of {schema}, found {value_type}")


class Schemas:
    """A set of schemas that may refer to each other by ``$id``.

    Args:
        documents: Name to schema; each ``$id`` is ``urn:care:`` and the name.

    Raises:
        jsonschema.SchemaError: If a document is not a Draft 2020-12 schema.
    """

    def __init__(self, documents: Mapping[str, dict[str, object]]) -> None:
        for document in documents.values():
            ReferenceValidator.check_schema(document)
        self.documents = dict(documents)
        self._registry = jsonschema_rs.Registry([(_PREFIX + name, body) for name, body in documents.items()])
        self._compiled: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.documents

    def __iter__(self) -> Iterator[str]:
        return iter(self.documents)

    def check(self, name: str, document: object) -> None:
        """Return if ``document`` is what schema ``name`` says.

        Raises:
            SchemaViolationError: If it is not; the first thing found is told.
            KeyError: If there is no such schema. Names come from code, or were looked up with ``in``.
        """
        validator = self._validator(name)
        if validator.is_valid(document):
            return
        raise _violation(name, next(iter(validator.iter_errors(document))))

    def resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a part of a document; if it only refers to one of another document's ``$defs``, that one.

        Raises:
            KeyError: If what it refers to is not there.
        """
        name, found, definition = str(part.get("$ref", "")).removeprefix(_PREFIX).partition("#/$defs/")
        return self.documents[name]["$defs"][definition] if found else part  # type: ignore[index]

    def _validator(self, name: str) -> jsonschema_rs.Draft202012Validator:
        compiled = self._compiled.get(name)
        if compiled is None:
            compiled = jsonschema_rs.Draft202012Validator(
                self.documents[name], registry=self._registry, validate_formats=True
            )
            self._compiled[name] = compiled
        return compiled


@cache
def care_schemas() -> Schemas:
    """Return the schemas packaged in ``channels/schemas``, read and checked once per process."""
    folder = files("channels").joinpath("schemas")
    found = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".json"))
    return Schemas({name.removesuffix(".json"): json.loads(entry.read_bytes()) for name, entry in found})


def check(name: str, document: object) -> None:
    """Check ``document`` against packaged schema ``name``: see :meth:`Schemas.check`."""
    care_schemas().check(name, document)


def is_event(event_type: object) -> bool:
    """Tell whether ``event_type`` is the type of an event that has a schema, such as ``task.updated``."""
    return isinstance(event_type, str) and event_type.startswith(_EVENT_PREFIXES) and event_type in care_schemas()


def _violation(name: str, error: jsonschema_rs.ValidationError) -> SchemaViolationError:
    path = [str(part) for part in error.instance_path]
    rule = str(error.schema_path[-1]) if error.schema_path else "schema"
    value_type = type_name(error.instance)
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        path.append(str(kind.property))
        value_type = "missing"
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        unexpected = str(kind.unexpected[0])
        path.append(unexpected)
        value_type = type_name(error.instance.get(unexpected) if isinstance(error.instance, dict) else error.instance)
    return SchemaViolationError(name, ".".join(map(_nameable, path)), rule, value_type)


def type_name(value: object) -> str:
    """Return the JSON type of a decoded value."""
    return _TYPE_NAMES.get(type(value), "unknown")


def _nameable(part: str) -> str:
    return part if part.isdigit() or _NAMEABLE.fullmatch(part) else "?"

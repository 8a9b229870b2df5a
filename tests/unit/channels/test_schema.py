"""The schemas against the design's own examples, what a refusal says, and both validators against each other."""

import copy
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from channels.routes import ROUTES
from channels.schema import SchemaViolationError, care_schemas, check, is_event

SARAH = {"user_id": "cc_456", "user_name": "Sarah Johnson", "user_role": "care_coordinator"}
#: Examples of the design, as they stand there, with the ``event_id`` and ``version`` that every event has besides.
EXAMPLES: dict[str, dict[str, Any]] = {
    "task.created": {
        "task_id": "task_890",
        "task": {
            "id": "task_890",
            "title": "Schedule follow-up appointment",
            "member_id": "A123456",
            "member_name": "John Doe",
            "assigned_to": "cc_456",
            "status": "pending",
            "priority": "high",
            "due_date": "2025-11-15",
        },
        "changed_by": {"user_id": "system", "user_name": "CareFlow Automation", "user_role": "system"},
        "timestamp": "2025-11-13T10:00:00Z",
    },
    "task.updated": {
        "task_id": "task_789",
        "task": {
            "id": "task_789",
            "title": "Contact member about appointment",
            "member_id": "A123456",
            "notes": "Called member, left voicemail. Will try again tomorrow.",
            "status": "in_progress",
        },
        "changed_fields": ["notes", "status"],
        "changed_by": SARAH,
        "timestamp": "2025-11-13T10:30:00Z",
    },
    "task.assigned": {
        "task_id": "task_789",
        "task": {
            "id": "task_789",
            "assigned_to": "cc_789",
            "assigned_to_name": "Mike Chen",
            "assigned_by": "cc_456",
            "assigned_by_name": "Sarah Johnson",
            "reason": "Transferring to specialist coordinator",
        },
        "changed_by": SARAH,
        "timestamp": "2025-11-13T10:45:00Z",
    },
    "task.completed": {
        "task_id": "task_789",
        "task": {
            "id": "task_789",
            "status": "completed",
            "completed_at": "2025-11-13T10:50:00Z",
            "completion_notes": "Successfully scheduled appointment for 11/20",
        },
        "changed_by": SARAH,
        "timestamp": "2025-11-13T10:50:00Z",
    },
    "presence.user_joined": {
        "task_id": "task_789",
        "user": {**SARAH, "avatar_url": "https://cdn.ih.com/avatars/cc_456.jpg", "state": "viewing"},
        "timestamp": "2025-11-13T10:00:00Z",
    },
    "presence.user_left": {"task_id": "task_789", "user_id": "cc_456", "timestamp": "2025-11-13T10:15:00Z"},
    "presence.state_changed": {
        "task_id": "task_789",
        "user_id": "cc_456",
        "old_state": "viewing",
        "new_state": "editing",
        "timestamp": "2025-11-13T10:05:00Z",
    },
    "presence.typing": {
        "task_id": "task_789",
        "user_id": "cc_456",
        "field_name": "notes",
        "timestamp": "2025-11-13T10:06:00Z",
    },
}


def example(name: str) -> dict[str, Any]:
    return {"event_id": "ev_1", "type": name, "version": 7, **copy.deepcopy(EXAMPLES[name])}


class TestExamples:
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_the_designs_example_passes(self, name: str) -> None:
        check(name, example(name))

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_what_is_unknown_in_an_event_is_let_through_to_be_dropped(self, name: str) -> None:
        check(name, {**example(name), "of_a_later_version": True})

    @pytest.mark.parametrize("name", EXAMPLES)
    @pytest.mark.parametrize("field", ["event_id", "type", "task_id", "timestamp"])
    def test_what_every_event_has_is_required(self, name: str, field: str) -> None:
        document = example(name)
        del document[field]
        with pytest.raises(SchemaViolationError) as caught:
            check(name, document)
        assert (caught.value.field, caught.value.rule, caught.value.value_type) == (field, "required", "missing")


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "field", "rule", "value_type"),
        [
            ({"task_id": "t", "changes": {"status": "John Doe"}}, "changes.status", "enum", "string"),
            ({"task_id": "t", "changes": {"notes": "John Doe" * 2000}}, "changes.notes", "maxLength", "string"),
            ({"task_id": "t", "changes": {"due_date": "Doe"}}, "changes.due_date", "pattern", "string"),
            ({"task_id": "t", "changes": {"due_date": "2025-02-30"}}, "changes.due_date", "format", "string"),
            ({"task_id": "t", "changes": {"due_date": "2025-02-29"}}, "changes.due_date", "format", "string"),
            ({"task_id": "t", "changes": {"title": None}}, "changes.title", "type", "null"),
            ({"task_id": "t", "changes": {"member_id": "A1"}}, "changes.member_id", "additionalProperties", "string"),
            ({"task_id": "t", "changes": {"John Doe": 1}}, "changes.?", "additionalProperties", "integer"),
            ({"task_id": "t", "changes": {}, "version": 0}, "version", "minimum", "integer"),
            ({"task_id": "t", "changes": {}, "version": True}, "version", "type", "boolean"),
            ({"task_id": "John Doe", "changes": {}}, "task_id", "pattern", "string"),
            ({"task_id": "t"}, "changes", "required", "missing"),
            ({"task_id": "t", "changes": {}, "resolution": "merge"}, "conflict_id", "dependentRequired", "missing"),
            (["John Doe"], "", "type", "array"),
            ("John Doe", "", "type", "string"),
        ],
    )
    def test_name_field_rule_and_type_and_never_the_value(
        self, body: object, field: str, rule: str, value_type: str
    ) -> None:
        with pytest.raises(SchemaViolationError) as caught:
            check("body.task.update", body)
        violation = caught.value
        assert (violation.field, violation.rule, violation.value_type) == (field, rule, value_type)
        assert "Doe" not in str(violation)

    def test_a_line_end_after_an_id_is_part_of_it(self) -> None:
        with pytest.raises(SchemaViolationError):
            check("body.task.get", {"task_id": "task_789\n"})


class TestSchemas:
    def test_every_event_has_roads_and_every_road_an_event(self) -> None:
        events = {name for name in care_schemas() if is_event(name)}
        activities = set(care_schemas().documents["activity"]["properties"]["type"]["enum"])  # type: ignore[index]
        assert events | activities == set(ROUTES)

    @pytest.mark.parametrize("name", [None, 7, "body.task.get", "task.unknown", "activity", "task"])
    def test_what_is_no_event_is_told_apart(self, name: object) -> None:
        assert not is_event(name)

    @pytest.mark.parametrize("name", [name for name in care_schemas() if name.startswith(("body.", "message."))])
    def test_bodies_and_messages_refuse_unknown_fields(self, name: str) -> None:
        with pytest.raises(SchemaViolationError):
            check(name, {"of_a_later_version": True})
        assert care_schemas().documents[name]["additionalProperties"] is False

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_the_compiled_validator_agrees_with_the_reference(self, name: str) -> None:
        resources = [
            (str(document["$id"]), DRAFT202012.create_resource(document))
            for document in care_schemas().documents.values()
        ]
        reference = Draft202012Validator(
            care_schemas().documents[name],
            registry=Registry().with_resources(resources),
            format_checker=FORMATS,
        )
        for document in damaged(example(name)):
            assert passes(name, document) == reference.is_valid(document)


#: The reference's own checker, and what it leaves to another package.
FORMATS = FormatChecker()
FORMATS.checks("date-time", raises=ValueError)(
    lambda text: not isinstance(text, str) or datetime.fromisoformat(text) is not None
)


def passes(name: str, document: object) -> bool:
    try:
        check(name, document)
    except SchemaViolationError:
        return False
    return True


#: What a value is replaced by.
OTHERS: tuple[object, ...] = (
    *(None, True, 0, -1, 1.5, "", "x" * 300, [], ["a", "a"], {}),
    *("2025-13-01", "2025-02-30", "2025-02-29", "2024-02-29", "20250213", "2025-W01-1"),
    *("2025-02-30T10:00:00Z", "2024-02-29T23:59:59.123+05:30", "2025-02-28T10:00:00+24:00", "2025-02-28T10:00:00"),
)


def damaged(document: dict[str, Any]) -> Iterator[object]:
    """The document, and copies with each value, at any depth, left out or replaced."""
    yield document
    for name, value in document.items():
        rest = {key: each for key, each in document.items() if key != name}
        yield rest
        for other in OTHERS:
            yield {**rest, name: other}
        if isinstance(value, dict):
            yield from ({**rest, name: inner} for inner in damaged(value))

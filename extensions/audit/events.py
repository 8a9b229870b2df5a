"""What is audited, in the fields of FHIR's AuditEvent (R4): pure.

Nothing in an event is more of a patient than the id: not a name, not a note. The reason for a broken glass is kept,
since it is what the audit is for; it goes into no other log.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from channels.timestamps import iso_utc_ms

_ISO_21089: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"

_ACCESS: Final = {"system": _ISO_21089, "code": "access", "display": "Access/View Record Lifecycle Event"}
_ALERT: Final = {"system": _DICOM, "code": "110113", "display": "Security Alert"}
_OVERRIDE: Final = {"system": _DICOM, "code": "110127", "display": "Emergency Override Started"}
_ATTRIBUTES: Final = {"system": _DICOM, "code": "110137", "display": "User Security Attributes Changed"}

AuditEvent = dict[str, Any]


class Subject(NamedTuple):
    """Whose PHI was shown: of these patients (none, where only the task's relations know), in this task, if in one."""

    member_ids: tuple[str, ...]
    task_id: str | None


def disclosure(
    *,
    recorded_s: float,
    node: str,
    user_ids: Iterable[str],
    subjects: Iterable[Subject],
    road: str,
    kind: str,
    event_id: str | None = None,
) -> AuditEvent:
    """Return the event "these users were shown PHI of these patients".

    Each agent's ``policy`` names the permissions that allowed it, such as ``view_phi@member:A123456``.

    Args:
        recorded_s: When, epoch seconds.
        node: Which of our nodes.
        user_ids: Whom it was shown; one or many, all for the same reason.
        subjects: Whose it was.
        road: How it went: ``live``, ``replay`` or ``request``.
        kind: Type of the event, or kind of the objects.
        event_id: Of the event, if it was one.
    """
    whose = list(dict.fromkeys(subjects))
    members = dict.fromkeys(member_id for each in whose for member_id in each.member_ids)
    tasks = dict.fromkeys(each.task_id for each in whose if each.task_id)
    policies = [
        *(f"view_phi@member:{member_id}" for member_id in members),
        *(f"view_phi@task:{each.task_id}" for each in whose if each.task_id and not each.member_ids),
        *(f"view@task:{task_id}" for task_id in tasks),
    ]
    details = {"road": road, "kind": kind, "event_id": event_id}
    entities = [
        *(_entity("1", "1", member_id, details) for member_id in members),
        *(_entity("2", "4", task_id, details) for task_id in tasks),
    ]
    agents = [_agent(user_id, policies) for user_id in user_ids]
    return _event(_ACCESS, "R", recorded_s, node, agents=agents, entities=entities)


def take_over(
    *, recorded_s: float, node: str, user_id: str, holder_id: str | None, task_id: str, field_name: str, reason: str
) -> AuditEvent:
    """Return the event "this user took a field's lock from its holder, and said why"."""
    entity = _entity("2", "4", task_id, {"field_name": field_name, "holder": holder_id, "reason": reason})
    return _event(_ALERT, "E", recorded_s, node, agents=[_agent(user_id)], entities=[entity], subtype=_OVERRIDE)


def revocation(*, recorded_s: float, node: str, user_id: str, object_type: str, object_id: str) -> AuditEvent:
    """Return the event "this user may do less with this object from now on, and it was enforced"."""
    entity = _entity("1" if object_type == "member" else "2", "4", object_id, {"object_type": object_type})
    return _event(_ALERT, "U", recorded_s, node, agents=[_agent(user_id)], entities=[entity], subtype=_ATTRIBUTES)


def _event(
    kind: Mapping[str, str],
    action: str,
    recorded_s: float,
    node: str,
    *,
    agents: list[AuditEvent],
    entities: list[AuditEvent],
    subtype: Mapping[str, str] | None = None,
) -> AuditEvent:
    return {
        "resourceType": "AuditEvent",
        "type": kind,
        **({"subtype": [subtype]} if subtype else {}),
        "action": action,
        "recorded": iso_utc_ms(recorded_s),
        "outcome": "0",
        "agent": agents,
        "source": {"observer": {"display": node}},
        "entity": entities,
    }


def _agent(user_id: str, policies: Sequence[str] = ()) -> AuditEvent:
    """``policies`` are not copied: a disclosure to hundreds has one list for all of them."""
    who = {"identifier": {"value": user_id}}
    if not policies:
        return {"who": who, "requestor": True}
    return {"who": who, "requestor": True, "policy": policies}


def _entity(entity_type: str, role: str, entity_id: str, details: Mapping[str, str | None]) -> AuditEvent:
    entity: AuditEvent = {
        "what": {"identifier": {"value": entity_id}},
        "type": {"system": _ENTITY_TYPE, "code": entity_type},
        "role": {"system": _ENTITY_ROLE, "code": role},
    }
    told = [{"type": name, "valueString": value} for name, value in details.items() if value is not None]
    return {**entity, "detail": told} if told else entity

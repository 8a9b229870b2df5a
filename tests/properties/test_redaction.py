"""No byte of a hidden field passes a redaction, whatever the payload."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bayeux_server.protocol.channel_id import ChannelGrammar
from channels.phi import PHI_FIELDS, SHAPES
from channels.policy import Principal
from channels.views import View, event_needs, redact, scrub_log, view_of

#: Put into every value that must not pass; no field's form admits it.
SECRET = "§PHI§"

KINDS = st.sampled_from([*(kind + "x" if kind.endswith(".") else kind for kind in SHAPES), "never.heard.of"])
NAMES = st.sampled_from(sorted({name for shape in SHAPES.values() for name in shape.fields} | {"ssn", "diagnosis"}))
SECRETS = st.sampled_from([SECRET, f"{SECRET} note", f"id_{SECRET}", f"2025-01-01{SECRET}"])


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(children, max_size=3) | st.dictionaries(NAMES | SECRETS, children, max_size=4)


#: Secrets everywhere but in the few places that carry the words of staff and server.
PAYLOADS = st.dictionaries(NAMES, st.recursive(SECRETS, _containers, max_leaves=6), max_size=6)
WORDS_OF_STAFF = {"user_name", "assigned_to_name", "assigned_by_name", "last_modified_by_name", "changed_by_name"} | {
    "message", "modified_by"
}  # fmt: skip


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_words(member) for name, member in value.items() if name not in WORDS_OF_STAFF}
    return [_without_words(member) for member in value] if isinstance(value, list) else value


@given(KINDS, PAYLOADS)
def test_no_secret_passes_in_any_field_at_any_depth(kind: str, payload: Mapping[str, Any]) -> None:
    shown = json.dumps(redact(kind, _without_words(payload)), ensure_ascii=False)
    assert SECRET not in shown


@given(KINDS, PAYLOADS)
def test_a_phi_field_never_appears_by_its_name(kind: str, payload: Mapping[str, Any]) -> None:
    allowed_somewhere = {"id", "message", "name", "reason", "key", "value", "headers", "member_id"}

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {name for member in value.values() for name in names(member)}
        return {name for member in value for name in names(member)} if isinstance(value, list) else set()

    assert names(redact(kind, payload)) & (PHI_FIELDS - allowed_somewhere) == set()


@given(KINDS, PAYLOADS)
def test_redacting_twice_is_redacting_once_and_changes_nothing_of_the_payload(
    kind: str, payload: Mapping[str, Any]
) -> None:
    before = json.dumps(payload)
    once = redact(kind, payload)
    assert redact(kind, once) == once
    assert json.dumps(payload) == before


@given(
    st.sampled_from(["/task/a", "/task/a/presence", "/task_list/team/t", "/notifications/u", "/activity_feed/t"]),
    PAYLOADS | SECRETS,
)
def test_whoever_has_no_permission_gets_at_most_their_own_redacted(channel: str, payload: object) -> None:
    needs = event_needs(ChannelGrammar().parse(channel), payload)
    assert needs is not None
    view = view_of(Principal("u"), needs, lambda *_: False)
    assert view is View.HIDDEN or (channel == "/notifications/u" and view is View.REDACTED)
    assert view_of(None, needs, lambda *_: True) is View.HIDDEN


@given(PAYLOADS)
def test_no_payload_reaches_a_log_line(payload: Mapping[str, Any]) -> None:
    line = scrub_log(None, "info", {"event": "x", "data": dict(payload), **dict.fromkeys(PHI_FIELDS, SECRET)})
    assert SECRET not in json.dumps(line, ensure_ascii=False)

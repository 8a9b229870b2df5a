"""How a redacted view is made: rules that say what of a value may be shown, and shapes that apply them to objects.

Redaction is by allow-list, twice over: a field passes only if its shape names it, and only with a value of the named
form (an ``IDENTIFIER`` with a space in it is no identifier and is dropped). Null passes wherever a field does.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final


class _Dropped:
    """The value of what a rule lets nothing pass of."""


DROPPED: Final = _Dropped()

#: A rule returns what of a value may be shown, or ``DROPPED``.
Rule = Callable[[object], object]

_LARGEST_INTEGER: Final = 2**53
_LONGEST_TEXT: Final = 200
_LONGEST_LIST: Final = 1_000


def PHI(value: object) -> object:  # noqa: N802 - reads as a constant of the table
    """Rule of a field that identifies a patient, tells of their care, or is free text."""
    return DROPPED


def _matches(pattern: str) -> Rule:
    compiled = re.compile(pattern)

    def rule(value: object) -> object:
        return value if value is None or (isinstance(value, str) and compiled.fullmatch(value)) else DROPPED

    return rule


IDENTIFIER: Final = _matches(r"[A-Za-z0-9_\-.|@+=~]{1,128}")
CODE: Final = _matches(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
FIELD_PATH: Final = _matches(r"[A-Za-z_$][A-Za-z0-9_]{0,63}([./\[][A-Za-z0-9_]{1,64}\]?){0,8}")
TIMESTAMP: Final = _matches(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?")
URL: Final = _matches(r"https?://[^\s\"<>]{1,500}")
#: What the server says of an action; the words are ours, capitals and digits would be names and numbers.
ACTION: Final = _matches(r"[a-z ]{1,60}")


def STAFF_NAME(value: object) -> object:  # noqa: N802
    """Rule of a colleague's name, which comes from the identity provider, and of the server's own sentences."""
    return value if value is None or (isinstance(value, str) and len(value) <= _LONGEST_TEXT) else DROPPED


SENTENCE: Final = STAFF_NAME


def INTEGER(value: object) -> object:  # noqa: N802
    """Rule of versions, counts and positions."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_INTEGER):
        return value
    return DROPPED


def FLAG(value: object) -> object:  # noqa: N802
    """Rule of a yes or no."""
    return value if value is None or isinstance(value, bool) else DROPPED


def list_of(rule: Rule) -> Rule:
    """Return the rule of a list: members that do not pass are left out."""

    def members(value: object) -> object:
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            return DROPPED
        kept = (rule(member) for member in value[:_LONGEST_LIST])
        return [member for member in kept if member is not DROPPED]

    return members


def map_of(rule: Rule) -> Rule:
    """Return the rule of an object whose keys are codes, such as field names."""

    def entries(value: object) -> object:
        if not isinstance(value, Mapping):
            return None if value is None else DROPPED
        kept = ((key, rule(member)) for key, member in value.items() if isinstance(key, str) and CODE(key) is key)
        return {key: member for key, member in kept if member is not DROPPED}

    return entries


def either(*rules: Rule) -> Rule:
    """Return the rule of a field that has more than one form: the first rule that lets something pass decides."""

    def first(value: object) -> object:
        return next((kept for rule in rules if (kept := rule(value)) is not DROPPED), DROPPED)

    return first


class Shape:
    """Rule of an object: the fields named pass by their own rules.

    Args:
        fields: The rule of each field.
        marked: Say ``"redacted": true`` in the result when anything is missing from it, so that a page can tell "not
            shown to you" from "not there".
    """

    def __init__(self, fields: Mapping[str, Rule], *, marked: bool = False) -> None:
        self.fields: Mapping[str, Rule] = {**fields, "redacted": FLAG} if marked else fields
        self._marked = marked

    def __call__(self, value: object) -> object:
        """Return the redacted object, or ``DROPPED`` for anything else than an object or null."""
        if not isinstance(value, Mapping):
            return None if value is None else DROPPED
        return self.redacted(value)

    def redacted(self, value: Mapping[str, object]) -> dict[str, object]:
        """Return what may be shown of ``value``, in its order."""
        fields = self.fields
        pairs = ((name, fields[name](member)) for name, member in value.items() if name in fields)
        kept = {name: member for name, member in pairs if member is not DROPPED}
        if self._marked and kept != value:
            kept["redacted"] = True
        return kept

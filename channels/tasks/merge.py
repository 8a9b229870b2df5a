"""Three-way merge of a task: by field, and within text fields by line (diff3)."""

from typing import Any, Final

from merge3 import Merge3
from msgspec import UNSET, Struct
from msgspec.structs import asdict

from channels.tasks.changes import TaskChanges
from channels.tasks.model import Task, TaskStatus, changed_fields
from channels.tasks.status import may_follow

#: Merged by line where both sides changed them.
TEXT_FIELDS: Final = frozenset({"notes", "completion_notes"})
#: Characters a text field may have; the schemas say the same.
LONGEST_TEXT: Final = 10_000
_STATUS: Final = "status"


class Merge(Struct, frozen=True):
    """What became of two sets of changes to one base.

    Attributes:
        yours: Fields you changed against the base.
        theirs: Fields they changed.
        conflicting: Fields that cannot be merged; none means that ``changes`` holds the merge.
        changes: What to set on the current task so that it has both sides' changes.
    """

    yours: tuple[str, ...]
    theirs: tuple[str, ...]
    conflicting: tuple[str, ...]
    changes: TaskChanges

    @property
    def is_clean(self) -> bool:
        """Whether both sides can be had."""
        return not self.conflicting


def merge(base: Task, yours: TaskChanges, theirs: Task) -> Merge:
    """Merge your changes of ``base`` with their task, which descends from the same base.

    A field that both set to the same value is no conflict. A status that may not follow theirs is one, even if they
    did not touch the status in a way that differs from yours.
    """
    wished = {
        name: value for name, value in asdict(yours).items() if value is not UNSET and value != getattr(base, name)
    }
    their_fields = changed_fields(base, theirs)
    merged: dict[str, Any] = {}
    conflicting: list[str] = []
    for name, value in wished.items():
        if name not in their_fields:
            merged[name] = value
        elif getattr(theirs, name) != value:
            text = _merged_text(name, base, value, theirs)
            if text is None:
                conflicting.append(name)
            else:
                merged[name] = text
    if not _may_stand(theirs, merged.get(_STATUS, theirs.status)) and _STATUS not in conflicting:
        merged.pop(_STATUS, None)
        conflicting.append(_STATUS)
    return Merge(tuple(wished), their_fields, tuple(conflicting), TaskChanges(**merged))


def _may_stand(theirs: Task, status: TaskStatus) -> bool:
    return theirs.status is not TaskStatus.DELETED and may_follow(theirs.status, status)


def _merged_text(name: str, base: Task, yours: str, theirs: Task) -> str | None:
    if name not in TEXT_FIELDS:
        return None
    merged = merge_text(getattr(base, name) or "", yours, getattr(theirs, name) or "")
    # Both sides' text together may be longer than a field may be; then somebody has to choose.
    return merged if merged is not None and len(merged) <= LONGEST_TEXT else None


def merge_text(base: str, yours: str, theirs: str) -> str | None:
    """Return both sides' changes of a text, line by line; None if they changed the same lines differently."""
    lines: list[str] = []
    for kind, *groups in Merge3(base.split("\n"), yours.split("\n"), theirs.split("\n")).merge_groups():
        if kind == "conflict":
            return None
        lines += groups[0]
    return "\n".join(lines)

"""What a write on an old version is answered, and how it is resolved."""

from enum import StrEnum
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from channels.tasks.changes import TaskChanges, updated
from channels.tasks.merge import merge
from channels.tasks.model import Task, User


class Resolution(StrEnum):
    """How a conflict was resolved, in the design's words."""

    KEEP_MINE = "keep_mine"
    KEEP_THEIRS = "keep_theirs"
    MERGE = "merge"


class ConflictBody(Struct, frozen=True, kw_only=True):
    """The design's ``ConflictError``, and what a merge dialog needs beyond it.

    Attributes:
        base_task: The task at ``expected_version``: what you began with. Missing if there never was such a version;
            then nothing can be merged.
        your_changed_fields: What you wanted to change, against the base; without one, against the current task.
        their_changed_fields: What was changed in the meantime.
        conflicting_fields: Fields both sides changed in ways that cannot be had together.
        merged_task: The current task with your changes; there only if ``mergeable``. Not stored: send it back.
    """

    error: Literal["CONFLICT"] = "CONFLICT"
    message: str
    current_version: int
    expected_version: int
    current_task: Task
    conflict_id: str
    base_task: Task | UnsetType = UNSET
    your_changed_fields: tuple[str, ...]
    their_changed_fields: tuple[str, ...]
    conflicting_fields: tuple[str, ...]
    mergeable: bool
    merged_task: Task | UnsetType = UNSET


_MESSAGE: Final = "Task was modified by another user"


def conflict_of(
    *,
    base: Task | None,
    current: Task,
    expected_version: int,
    changes: TaskChanges,
    conflict_id: str,
    by: User,
    at: str,
    touched: tuple[str, ...] = (),
) -> ConflictBody:
    """Return the answer to ``changes`` of ``base``, at ``expected_version``, when the task has become ``current``.

    ``touched`` names fields that the operation sets beyond ``changes`` (an assignment's): never merged for the caller,
    but no obstacle if the others left them alone.
    """
    outcome = merge(base or current, changes, current)
    yours = (*outcome.yours, *touched)
    conflicting = (*outcome.conflicting, *(name for name in touched if name in outcome.theirs)) if base else yours
    merged = UNSET if conflicting or base is None else updated(current, outcome.changes, by=by, at=at)
    return ConflictBody(
        message=_MESSAGE,
        current_version=current.version,
        expected_version=expected_version,
        current_task=current,
        conflict_id=conflict_id,
        base_task=base or UNSET,
        your_changed_fields=yours,
        their_changed_fields=outcome.theirs,
        conflicting_fields=conflicting,
        mergeable=merged is not UNSET,
        merged_task=merged,
    )

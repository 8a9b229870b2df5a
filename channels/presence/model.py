"""The words of presence: who is where, in which state, and the times that bound it all."""

from enum import StrEnum

from msgspec import Struct


class PresenceState(StrEnum):
    """What a person does on a task, weakest first."""

    VIEWING = "viewing"
    EDITING = "editing"
    TYPING = "typing"

    @property
    def strength(self) -> int:
        """Rank among the states: a person in several tabs is shown in the strongest."""
        return _STRENGTH[self]


_STRENGTH = {state: rank for rank, state in enumerate(PresenceState)}


class Person(Struct, frozen=True, omit_defaults=True):
    """Who is shown to the others, taken from the session's verified identity and never from a message."""

    user_id: str
    user_name: str
    user_role: str
    avatar_url: str | None = None


class CursorPosition(Struct, frozen=True, omit_defaults=True):
    """Where somebody types: a field, and an index within a repeated field or a text."""

    field_name: str
    field_index: int | None = None


class Touch(Struct, frozen=True):
    """One sign of life of one session on one task, with what it changes.

    Attributes:
        state: None keeps the state (a heartbeat, a cursor); a first sign of life without a state is ``viewing``.
            ``typing`` is a short lease on top of ``editing``; the other two end it.
        at_least: Take ``state``, which is not ``typing`` then, only if it is stronger than the one there is.
        field_name: The field typed in; only with ``typing``.
        cursor: The latest cursor position, kept for snapshots.
    """

    task_id: str
    session_id: str
    person: Person
    state: PresenceState | None = None
    field_name: str | None = None
    cursor: CursorPosition | None = None
    at_least: bool = False


class PresenceTimes(Struct, frozen=True):
    """The times and bounds of presence; the defaults are the design's.

    Attributes:
        lease_ms: Life of a session's lease on a task, renewed by any message on that task.
        typing_ms: How long ``typing`` outlasts the last keystroke.
        grace_ms: How long a session whose connection was lost stays present, unnoticed by the others.
        window_ms: Changes within this time after the first are told together; a join and a leave cancel out.
        retention_ms: How long the version of a deserted task is remembered, so that subscribers see no gap.
        crowd: With more people than this on one task, counts are told instead of names.
        tasks_per_session: Tasks one session may be present on at once.
    """

    lease_ms: int = 300_000
    typing_ms: int = 5_000
    grace_ms: int = 12_000
    window_ms: int = 100
    retention_ms: int = 3_600_000
    crowd: int = 200
    tasks_per_session: int = 100


class PresenceLimitReached(Exception):
    """A session is already present on as many tasks as it may."""


def to_ms(seconds: float) -> int:
    """Return whole milliseconds. All comparisons of times are between integers, the same here and in Redis."""
    return round(seconds * 1000)

"""The words of field locks."""

from enum import StrEnum

from msgspec import Struct


class LockTimes(Struct, frozen=True):
    """The times and bounds of locks.

    Attributes:
        lease_ms: Life of a lock, renewed by any sign of life of its session on the task.
        grace_ms: How long a lock outlasts its session's lost connection; the same as presence's.
        renew_every_ms: How often holders are asked to renew: a heartbeat every 30 s alone would race the 30 s lease.
        retention_ms: How long the last token of a field is remembered after the task's last lock ended.
        locks_per_session: Fields one session may hold at once.
    """

    lease_ms: int = 30_000
    grace_ms: int = 12_000
    renew_every_ms: int = 10_000
    retention_ms: int = 3_600_000
    locks_per_session: int = 50


class LockLimitReached(Exception):
    """A session already holds as many locks as it may."""


class Holder(Struct, frozen=True):
    """The session that holds a lock, and whose it is. The session id never leaves the server."""

    session_id: str
    user_id: str
    user_name: str


class FieldLock(Struct, frozen=True):
    """The lock of a field.

    Attributes:
        token: The fencing token: rises with every grant on the task, and starts anew above all earlier ones.
        holder: None once the lock has ended; the token is kept to recognise late writes.
        expires_at_ms: End of the lease, epoch milliseconds.
        lost: Whether the holder's connection is lost, so that the lease is the grace time.
    """

    field_name: str
    token: int
    holder: Holder | None
    expires_at_ms: int
    lost: bool = False

    def held_by(self, now_ms: int) -> Holder | None:
        """Return who holds the lock now."""
        return self.holder if now_ms < self.expires_at_ms else None


class LockEnd(StrEnum):
    """Why a lock ended."""

    RELEASED = "released"
    EXPIRED = "expired"
    TAKEN_OVER = "taken_over"


class LockChange(Struct, frozen=True):
    """A lock began (``ended`` is None) or ended. Each happens once per token."""

    task_id: str
    field_name: str
    token: int
    user_id: str
    user_name: str
    ended: LockEnd | None
    at_ms: int

    @property
    def event_id(self) -> str:
        """The id by which the change is settled: the same however often it is handed out."""
        return f"lock-{self.task_id}-{self.token}-{'locked' if self.ended is None else 'unlocked'}"


class Attempt(Struct, frozen=True):
    """The answer to an acquire or a take-over.

    Attributes:
        lock: The lock as it is now: ours if ``granted``, else somebody else's.
        granted: Whether it is ours.
        replaced: Whom it was taken from.
        changes: What subscribers are to be told, in order.
    """

    lock: FieldLock
    granted: bool
    replaced: Holder | None = None
    changes: tuple[LockChange, ...] = ()

"""Whether a write may change the fields it names. The decision is pure; the port is what the task service asks."""

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from channels.locks.model import FieldLock
from channels.presence.events import iso
from channels.presence.model import to_ms


class LockMode(StrEnum):
    """What a lock does to other people's writes."""

    ENFORCED = "enforced"
    ADVISORY = "advisory"


class WriteIntent(Struct, frozen=True):
    """A write that is about to happen.

    Attributes:
        fields: The fields it changes; None for the whole task, such as to withdraw it.
        user_id: Who writes, as verified.
        tokens: Fencing tokens the writer shows, by field; a field without one is judged by its holder alone.
    """

    task_id: str
    fields: frozenset[str] | None
    user_id: str
    tokens: Mapping[str, int] = {}


class Objection(Struct, frozen=True, omit_defaults=True):
    """Why one field may not be written: ``held`` by somebody else, or the token shown is an ``old_token``."""

    field_name: str
    reason: str
    user_id: str | None = None
    user_name: str | None = None
    expires_at: str | None = None


class Verdict(Struct, frozen=True):
    """The answer to a :class:`WriteIntent`. With advisory locks objections are warnings, and the write is allowed."""

    mode: LockMode
    objections: tuple[Objection, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the write may go on."""
        return not self.objections or self.mode is LockMode.ADVISORY

    @property
    def locked_fields(self) -> list[dict[str, str]]:
        """The objections as they are answered, in a refusal or as warnings."""
        return [{name: getattr(each, name) for name in _SHOWN if getattr(each, name)} for each in self.objections]

    def body(self, task_id: str) -> dict[str, object]:
        """Return the body of the 409 that refuses the write; ``holder`` is the first field's."""
        held = next((each for each in self.objections if each.user_id is not None), None)
        body: dict[str, object] = {
            "error": "LOCKED",
            "message": "A field is locked by another user" if held is not None else "The lock was lost",
            "task_id": task_id,
            "locked_fields": self.locked_fields,
        }
        if held is not None:
            body["holder"] = {"user_id": held.user_id, "user_name": held.user_name}
        return body


_SHOWN = ("field_name", "reason", "user_id", "user_name", "expires_at")


class LockGuard(Protocol):
    """Asked before every write of a task."""

    async def check(self, intent: WriteIntent) -> Verdict:
        """Judge a write.

        Raises:
            OSError: If the locks cannot be read. It means no: the caller refuses the write.
        """
        ...


def judge(locks: Mapping[str, FieldLock], intent: WriteIntent, mode: LockMode, now_ms: int) -> Verdict:
    """Judge a write by the last lock of each field.

    A field held by somebody else is refused. A token must be the last one granted for its field, so a writer who was
    away for longer than the lease, or was taken over from, is refused as soon as anybody else got the lock, also after
    that lock has ended; and a token nobody remembers is refused.
    """
    names = locks if intent.fields is None else intent.fields
    objections = (_objection(name, locks.get(name), intent, now_ms) for name in sorted(names))
    return Verdict(mode, tuple(each for each in objections if each is not None))


def _objection(field_name: str, lock: FieldLock | None, intent: WriteIntent, now_ms: int) -> Objection | None:
    holder = None if lock is None else lock.held_by(now_ms)
    if lock is not None and holder is not None and holder.user_id != intent.user_id:
        return Objection(field_name, "held", holder.user_id, holder.user_name, iso(lock.expires_at_ms))
    token = intent.tokens.get(field_name)
    if token is not None and (lock is None or token != lock.token):
        return Objection(field_name, "old_token")
    return None


class StoreLockGuard:
    """A :class:`LockGuard` that reads the locks from their store.

    Args:
        of_task: The store's reading, such as ``store.of_task``.
        clock: Returns epoch seconds.
        mode: Whether objections refuse or only warn.
    """

    def __init__(
        self,
        of_task: Callable[[str, float], Awaitable[Mapping[str, FieldLock]]],
        clock: Callable[[], float],
        mode: LockMode = LockMode.ENFORCED,
    ) -> None:
        self._of_task = of_task
        self._clock = clock
        self._mode = mode

    async def check(self, intent: WriteIntent) -> Verdict:
        """Judge a write by the locks of this moment.

        The caller has read the task's version before, and commits only on that version: so no write under an old token
        is accepted after a newer token's, although check and commit are two steps. ``tests/properties/test_fencing.py``
        mixes them in every way.

        Locks that only warn keep nobody from writing while they cannot be read.
        """
        now_s = self._clock()
        try:
            locks = await self._of_task(intent.task_id, now_s)
        except OSError:
            if self._mode is LockMode.ENFORCED:
                raise
            return Verdict(self._mode)
        return judge(locks, intent, self._mode, to_ms(now_s))


class NoLocks:
    """The :class:`LockGuard` of a server without locks: every write is allowed."""

    async def check(self, intent: WriteIntent) -> Verdict:
        """Allow the write."""
        return Verdict(LockMode.ADVISORY)

"""The port behind which field locks are kept."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from channels.locks.model import Attempt, FieldLock, Holder, LockChange


class LockStore(Protocol):
    """Keeps field locks for all nodes, with the meaning of :class:`channels.locks.table.LockTable`.

    Every method is one atomic step and takes the time as epoch seconds; a store shared by nodes may use its own clock.
    Moments in the locks it returns are the caller's time in any case: they may be compared with the caller's clock.
    Changes belong to the caller, who tells them to the subscribers and then settles them; what was not settled, because
    that node died, is found by :meth:`unsettled`.

    Contract: ``tests/contracts/lock_store.py``.
    """

    async def acquire(self, task_id: str, field_name: str, holder: Holder, now_s: float) -> Attempt:
        """Ask for a lock, or renew it.

        Raises:
            LockLimitReached: If the session holds too many locks.
        """
        ...

    async def take_over(self, task_id: str, field_name: str, holder: Holder, now_s: float) -> Attempt:
        """Take a lock from whoever holds it.

        Raises:
            LockLimitReached: If the session holds too many locks.
        """
        ...

    async def release(self, task_id: str, field_name: str, session_id: str, now_s: float) -> Sequence[LockChange]:
        """End the session's lock of a field."""
        ...

    async def release_task(self, task_id: str, session_id: str, now_s: float) -> Sequence[LockChange]:
        """End all locks of the session on a task."""
        ...

    async def release_session(self, session_id: str, now_s: float) -> Sequence[LockChange]:
        """End all locks of the session."""
        ...

    async def renew(self, task_id: str, session_id: str, now_s: float) -> int:
        """Renew the session's locks on a task; return how many."""
        ...

    async def lose(self, session_id: str, now_s: float, gone_for_s: float = 0.0) -> None:
        """Give the session's locks the grace time, counted from when its connection was lost, ``gone_for_s`` ago."""
        ...

    async def resume(self, session_id: str, now_s: float) -> int:
        """Renew the locks of a session that came back in time; return how many."""
        ...

    async def expire(self, now_s: float, limit: int = 500) -> tuple[Sequence[LockChange], float | None]:
        """End what is over on at most ``limit`` tasks; return the changes, and seconds until there is more to do."""
        ...

    async def of_task(self, task_id: str, now_s: float) -> Mapping[str, FieldLock]:
        """Return the last lock of each field, ended ones included."""
        ...

    async def settle(self, event_ids: Sequence[str]) -> None:
        """Note that these changes were told."""
        ...

    async def unsettled(self, now_s: float, older_than_s: float) -> Sequence[LockChange]:
        """Return changes made at least ``older_than_s`` ago and not settled, in order."""
        ...

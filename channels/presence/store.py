"""The port behind which presence is kept."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from channels.presence.events import PresenceChange, Snapshot
from channels.presence.model import Touch


class Flushed(Struct, frozen=True):
    """What a flush found.

    Attributes:
        events: To be published, in order of version within each task.
        due_in_s: Seconds until a flush has work again, or None if nobody is present anywhere.
    """

    events: Sequence[PresenceChange]
    due_in_s: float | None


class PresenceStore(Protocol):
    """Keeps presence for all nodes, with the meaning of :class:`channels.presence.table.PresenceTable`.

    Every method is one atomic step, and takes the time as epoch seconds; a store that is shared by nodes may use its
    own clock instead, so that nodes whose clocks differ agree. Results are therefore spans, never moments.

    An event that was found by :meth:`flush` belongs to the caller, who publishes it and then settles it. What was not
    settled, because that node died, is found by :meth:`unsettled`: an event is published at least once, always with the
    same ``event_id`` and version.

    Contract: ``tests/contracts/presence_store.py``. An adapter that does not run it is not an adapter.
    """

    async def touch(self, touch: Touch, now_s: float) -> float | None:
        """Take a sign of life; return seconds until the task has something to tell.

        Raises:
            PresenceLimitReached: If the session is present on too many tasks.
        """
        ...

    async def leave(self, task_id: str, session_id: str, now_s: float) -> float | None:
        """End a session's presence on a task; return seconds until the task has something to tell."""
        ...

    async def leave_all(self, session_id: str, now_s: float) -> float | None:
        """End a session's presence everywhere; return seconds until one of its tasks has something to tell."""
        ...

    async def lose(self, session_id: str, now_s: float, gone_for_s: float = 0.0) -> float | None:
        """Begin a session's grace time, whose connection was lost ``gone_for_s`` ago: the grace time counts from then.

        Returns:
            Seconds until one of its tasks has something to tell.
        """
        ...

    async def resume(self, session_id: str, now_s: float) -> int:
        """End a session's grace time; return on how many tasks it is still present."""
        ...

    async def flush(self, now_s: float, limit: int = 500) -> Flushed:
        """Tell what is due of at most ``limit`` tasks."""
        ...

    async def settle(self, event_ids: Sequence[str]) -> None:
        """Note that these events were published."""
        ...

    async def unsettled(self, now_s: float, older_than_s: float) -> Sequence[PresenceChange]:
        """Return events found at least ``older_than_s`` ago and not settled, in order of version within each task."""
        ...

    async def snapshot(self, task_id: str, now_s: float) -> Snapshot:
        """Return what was told of a task so far (without locks, which have a store of their own)."""
        ...

    async def take_version(self, task_id: str, now_s: float) -> int:
        """Take the next version of the task's presence, for a lock's event."""
        ...

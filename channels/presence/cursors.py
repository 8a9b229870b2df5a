"""How often a cursor is told: at most once an interval for each session, and then the latest. Pure."""

from msgspec import Struct

from channels.presence.deadlines import Deadlines
from channels.presence.model import CursorPosition, Person

#: Ten a second.
CURSOR_INTERVAL_MS = 100


class Pointed(Struct, frozen=True):
    """Where a session points: the task, the person and the position."""

    task_id: str
    session_id: str
    person: Person
    position: CursorPosition


class CursorGate:
    """Lets one cursor of a session through an interval; of those that come too soon the latest waits.

    Args:
        interval_ms: Least time between two cursors of one session.
    """

    def __init__(self, interval_ms: int = CURSOR_INTERVAL_MS) -> None:
        self._interval_ms = interval_ms
        self._next_ms: dict[str, int] = {}
        self._waiting: dict[str, Pointed] = {}
        self._due: Deadlines[str] = Deadlines()

    @property
    def next_due_ms(self) -> int | None:
        """When :meth:`take_due` has a cursor next."""
        return self._due.next_ms()

    def offer(self, pointed: Pointed, now_ms: int) -> bool:
        """Say whether the cursor may be told now; if not, it waits in place of an earlier one."""
        session_id = pointed.session_id
        next_ms = self._next_ms.get(session_id, now_ms)
        if next_ms <= now_ms:
            self._next_ms[session_id] = now_ms + self._interval_ms
            if self._waiting.pop(session_id, None) is not None:
                self._due.set(session_id, None)
            return True
        self._waiting[session_id] = pointed
        self._due.set(session_id, next_ms)
        return False

    def take_due(self, now_ms: int) -> list[Pointed]:
        """Return the waiting cursors whose time has come."""
        taken = []
        for session_id, _ in self._due.pop_due(now_ms):
            self._next_ms[session_id] = now_ms + self._interval_ms
            taken.append(self._waiting.pop(session_id))
        return taken

    def forget(self, session_id: str, task_id: str | None = None) -> None:
        """Drop a session's waiting cursor, because it left that task, or altogether."""
        waiting = self._waiting.get(session_id)
        if waiting is not None and task_id in {None, waiting.task_id}:
            del self._waiting[session_id]
            self._due.set(session_id, None)
        if task_id is None:
            self._next_ms.pop(session_id, None)

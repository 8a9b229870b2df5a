"""Presence on all tasks, as state plus time: the rooms, who is in which, and when each has something to tell."""

from channels.presence.deadlines import Deadlines
from channels.presence.events import PresenceChange, Snapshot
from channels.presence.model import PresenceLimitReached, PresenceTimes, Touch
from channels.presence.room import Room
from channels.presence.telling import snapshot, tell


class PresenceTable:
    """The pure core of presence.

    Every method takes the time, in integer epoch milliseconds; only :meth:`flush` returns events, and it is to be
    called at :attr:`next_due_ms`.

    A new room's versions begin at its time of birth in milliseconds, so they rise even when the room of a long deserted
    task was forgotten in between (a task would need 1,000 changes a second, sustained, to outrun the clock).

    Args:
        times: Leases, window and bounds.
    """

    def __init__(self, times: PresenceTimes | None = None) -> None:
        self.times = times or PresenceTimes()
        self._rooms: dict[str, Room] = {}
        self._tasks_of: dict[str, dict[str, str]] = {}
        self._due: Deadlines[str] = Deadlines()

    @property
    def next_due_ms(self) -> int | None:
        """When :meth:`flush` has work next."""
        return self._due.next_ms()

    def touch(self, touch: Touch, now_ms: int) -> None:
        """Take a sign of life; it makes its session present on the task if it was not.

        Raises:
            PresenceLimitReached: If the session is on too many tasks already. Nothing has changed then.
        """
        tasks = self._tasks_of.get(touch.session_id, {})
        user_id = touch.person.user_id
        if tasks.get(touch.task_id, user_id) != user_id:
            self.leave(touch.task_id, touch.session_id, now_ms)
        if touch.task_id not in tasks and len(tasks) >= self.times.tasks_per_session:
            raise PresenceLimitReached
        self._tasks_of.setdefault(touch.session_id, {})[touch.task_id] = user_id
        room = self._room(touch.task_id, now_ms)
        room.touch(touch, now_ms)
        self._schedule(touch.task_id, room)

    def leave(self, task_id: str, session_id: str, now_ms: int) -> None:
        """End a session's presence on one task."""
        user_id = self._forget(session_id, task_id)
        if user_id is not None:
            room = self._rooms[task_id]
            room.leave(user_id, session_id, now_ms)
            self._schedule(task_id, room)

    def leave_all(self, session_id: str, now_ms: int) -> None:
        """End a session's presence on every task."""
        for task_id in list(self._tasks_of.get(session_id, ())):
            self.leave(task_id, session_id, now_ms)

    def lose(self, session_id: str, now_ms: int, gone_for_ms: int = 0) -> None:
        """Begin the grace time of a session whose connection was lost ``gone_for_ms`` ago."""
        for task_id, user_id in self._tasks_of.get(session_id, {}).items():
            room = self._rooms[task_id]
            room.lose(user_id, session_id, now_ms, gone_for_ms)
            self._schedule(task_id, room)

    def resume(self, session_id: str, now_ms: int) -> int:
        """End the grace time of a session that came back; return on how many tasks it is still present."""
        resumed = 0
        for task_id, user_id in self._tasks_of.get(session_id, {}).items():
            room = self._rooms[task_id]
            resumed += room.resume(user_id, session_id, now_ms)
            self._schedule(task_id, room)
        return resumed

    def flush(self, now_ms: int, limit: int | None = None) -> list[PresenceChange]:
        """Tell what is due of at most ``limit`` tasks: expired leases, ended typing, closed windows."""
        events: list[PresenceChange] = []
        for task_id, _ in self._due.pop_due(now_ms, limit):
            room = self._rooms[task_id]
            told = tell(room, task_id, self.times.crowd, now_ms)
            if told:
                events += told
                room.quiet_since_ms = now_ms
            for session_id in room.take_ended():
                self._forget(session_id, task_id)
            if room.due_ms is None and not room.occupants and room.quiet_since_ms + self.times.retention_ms <= now_ms:
                del self._rooms[task_id]
            else:
                self._schedule(task_id, room)
        return events

    def snapshot(self, task_id: str, now_ms: int) -> Snapshot:
        """Return what was told of a task so far. Asking keeps the version of a deserted task remembered."""
        room = self._room(task_id, now_ms)
        self._schedule(task_id, room)
        return snapshot(room, task_id, self.times.crowd, now_ms)

    def take_version(self, task_id: str, now_ms: int) -> int:
        """Take the task's next version for an event of another kind (a lock) in the same sequence."""
        room = self._room(task_id, now_ms)
        room.version += 1
        self._schedule(task_id, room)
        return room.version

    def _room(self, task_id: str, now_ms: int) -> Room:
        room = self._rooms.get(task_id)
        if room is None:
            room = self._rooms[task_id] = Room(self.times, version=now_ms)
        room.quiet_since_ms = now_ms
        return room

    def _schedule(self, task_id: str, room: Room) -> None:
        due_ms = room.due_ms
        self._due.set(task_id, room.quiet_since_ms + self.times.retention_ms if due_ms is None else due_ms)

    def _forget(self, session_id: str, task_id: str) -> str | None:
        tasks = self._tasks_of.get(session_id)
        if tasks is None:
            return None
        user_id = tasks.pop(task_id, None)
        if not tasks:
            del self._tasks_of[session_id]
        return user_id

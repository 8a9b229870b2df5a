"""Coordinators change tasks: PATCH with If-Match, in open loop."""

from collections import Counter, deque
from collections.abc import Sequence

import msgspec

from benchmarks.care.moments import Moments
from benchmarks.care.requests import Requests
from benchmarks.care.tab import Tab
from benchmarks.care.world import NOTES, Crew
from clients.load.fleet import Fleet
from clients.load.http_wire import Response
from clients.load.pacer import Pacer
from clients.load.session import Session

OK = 200


class Desk:
    """The tasks of all teams as the editors know them.

    Attributes:
        versions: Of each task, as last answered.
        refused: Changes that were not made, by HTTP status.
    """

    def __init__(self, crews: Sequence[Crew], moments: Moments) -> None:
        self.moments = moments
        self.versions = {task.id: task.version for each in crews for task in each.tasks}
        self.refused: Counter[int] = Counter()
        self.idle = {each.team_id: deque(task.id for task in each.tasks) for each in crews}


class Changes(Pacer):
    """Changes the notes of tasks, the editors in turn, each time a task of the editor's team that rests."""

    def __init__(self, fleet: Fleet, editors: Sequence[Tab], requests: Requests, desk: Desk) -> None:
        super().__init__(fleet, editors, batch=1)
        self._requests = requests
        self._desk = desk

    def act(self, session: Session, due_us: int) -> None:
        """Let one editor change a task."""
        if not isinstance(session, Tab):
            raise TypeError("only coordinators change tasks")
        desk, team_id = self._desk, session.coordinator.team_id
        if not desk.idle[team_id]:
            self.unsent += 1
            return
        task_id = desk.idle[team_id].popleft()
        version = desk.versions[task_id] + 1
        desk.moments.due_us[task_id, version] = due_us

        def answered(response: Response) -> None:
            if response.status == OK:
                desk.versions[task_id] = version
            else:
                desk.refused[response.status] += 1
            desk.idle[team_id].append(task_id)

        self._requests.send(self._patch(session.token, task_id, version - 1), answered)
        self.sent += 1

    def _patch(self, token: str, task_id: str, version: int) -> bytes:
        body = msgspec.json.encode({"changes": {"notes": notes(version)}})
        head = (
            f"PATCH /api/tasks/{task_id} HTTP/1.1\r\nHost: {self._requests.target.host}\r\n"
            f'Authorization: Bearer {token}\r\nIf-Match: "{version}"\r\n'
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def notes(version: int) -> str:
    """Return other notes for each version, of the same length."""
    return f"{version:06} ".ljust(NOTES, "n")

"""All tabs of all coordinators, opened and counted in one process."""

import gc
import itertools
from collections.abc import Callable, Iterator, Sequence

from benchmarks.care.moments import Version
from benchmarks.care.tab import Tab
from benchmarks.care.task_sieve import TaskSieve
from benchmarks.care.world import Coordinator, Crew
from channels.views import View
from clients.load.errors import HarnessError
from clients.load.fleet import Fleet
from clients.load.mark import Stream
from clients.load.opening import Opening
from clients.load.target import Target
from clients.load.topology import Member

#: Sessions that shake hands at the same time.
CONCURRENCY = 50

ChannelsOf = Callable[[Crew, Coordinator, int], tuple[str, ...]]
"""What a coordinator's tab (counted from 0) is subscribed to."""


class CareFleet(Fleet):
    """The surroundings of tabs.

    Attributes:
        plain: The one stream of plain messages; with it every tab's load can be done again without the care layer.
        tabs: Of all coordinators, and the one that publishes plain messages.
    """

    def __init__(self, target: Target, origin_us: int, payload_bytes: int) -> None:
        self.plain = Stream(0, "/load/plain", 0)
        super().__init__(target, {0: self.plain}, payload_bytes, origin_us)
        self.tabs: list[Tab] = []
        self._indexes = itertools.count()

    def find_events(self, began_us: Callable[[Version], int]) -> None:
        """Count events of tasks from the moments that ``began_us`` tells."""
        self.tasks = self.sieve = TaskSieve(self._is_as_published, began_us)

    def people(self, crew: Crew, tabs: int, channels_of: ChannelsOf, secret: str) -> None:
        """Give each coordinator of a team so many tabs."""
        for coordinator in crew.coordinators:
            token = coordinator.token(secret)
            for number in range(tabs):
                channels = channels_of(crew, coordinator, number)
                expects = tuple(self._expected(crew, coordinator, channels))
                self.tabs.append(Tab(Member(next(self._indexes), channels, (), expects), self, coordinator, token))

    def publisher(self, coordinator: Coordinator, secret: str) -> None:
        """Add the one who publishes plain messages."""
        member = Member(next(self._indexes), publishes=(self.plain,))
        self.tabs.append(Tab(member, self, coordinator, coordinator.token(secret)))

    def open(self) -> None:
        """Open all tabs.

        Raises:
            HarnessError: If one could not be opened.
        """
        is_open = False

        def done() -> None:
            nonlocal is_open
            is_open = True

        Opening(self, self.tabs, lambda session: session.open(), then=done).start(concurrency=CONCURRENCY)
        self.reactor.run_while(lambda: not is_open)
        if self.tally.ready < len(self.tabs):
            raise HarnessError(f"only {self.tally.ready} of {len(self.tabs)} tabs opened: {dict(self.tally.failed)}")
        gc.collect()
        gc.freeze()

    def _expected(self, crew: Crew, coordinator: Coordinator, channels: Sequence[str]) -> Iterator[int]:
        """Yield the streams that one who is subscribed to ``channels`` must get: none of what is hidden."""
        for channel in channels:
            if channel == self.plain.channel:
                yield self.plain.number
            elif coordinator.view is not View.HIDDEN:
                for task_id in _tasks_on(crew, channel):
                    yield self.tasks.stream(channel, task_id, full=coordinator.view is View.FULL)


def editors(tabs: Sequence[Tab], team_ids: Sequence[str]) -> list[Tab]:
    """Return one tab of everybody in these teams who may change tasks."""
    first = {tab.coordinator.user.user_id: tab for tab in reversed(tabs) if tab.coordinator.view is View.FULL}
    return [tab for tab in first.values() if tab.coordinator.team_id in team_ids]


def _tasks_on(crew: Crew, channel: str) -> Iterator[str]:
    kind, _, name = channel.removeprefix("/").rpartition("/")
    for task in crew.tasks:
        if (kind, name) in (
            ("task", task.id),
            ("task_list/team", task.team_id),
            ("task_list/assigned_to", task.assigned_to),
        ):
            yield task.id

"""What subscribers have been shown already. Pure, and bounded.

Kept for each channel and not for each event alone: after a failure between two channels of one event, only the rest is
published; and an event that arrives late still reaches a channel on which no newer one was shown, such as the list of
an assignee who has lost the task since.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple


class Moment(NamedTuple):
    """Where an event stands in the life of its task."""

    task_id: str
    version: int


class Seen:
    """Remembers the latest ``limit`` pairs of event and channel, and as many of task and channel."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._versions: OrderedDict[tuple[str, str], int] = OrderedDict()

    def fresh(self, event_id: str, moment: Moment | None, channels: Iterable[str]) -> tuple[str, ...]:
        """Return those of ``channels`` on which the event is still to be shown.

        Args:
            event_id: The event's id.
            moment: None for events that have no place among a task's versions.
            channels: Where it goes.
        """
        return tuple(channel for channel in channels if self._is_fresh(event_id, moment, channel))

    def shown(self, event_id: str, moment: Moment | None, channel: str) -> None:
        """Remember that the event was shown on ``channel``."""
        self._events[event_id, channel] = None
        _trim(self._events, self._limit)
        if moment is not None:
            key = (moment.task_id, channel)
            self._versions[key] = max(moment.version, self._versions.get(key, 0))
            self._versions.move_to_end(key)
            _trim(self._versions, self._limit)

    def _is_fresh(self, event_id: str, moment: Moment | None, channel: str) -> bool:
        if (event_id, channel) in self._events:
            return False
        return moment is None or moment.version > self._versions.get((moment.task_id, channel), 0)


def _trim(entries: OrderedDict[tuple[str, str], None] | OrderedDict[tuple[str, str], int], limit: int) -> None:
    while len(entries) > limit:
        entries.popitem(last=False)

"""Finds events of tasks in raw bytes, as :class:`clients.load.sieve.Sieve` finds marks."""

import re
from collections.abc import Callable
from typing import Any

from benchmarks.care.moments import Version
from clients.load.mark import MARK_DIGITS, SIGN, Mark
from clients.load.sieve import Check, Sieve

#: An event of a task: channel, task, version, and whether the task's title is shown, which it is in the full view only.
#: Or, instead of the four, the mark of a plain message.
_FOUND = re.compile(
    rb'"channel":"(/task[^"]*)","data":\{"event_id":"[^"]*","type":"task\.[a-z_]+","task_id":"([^"]+)",'
    rb'"version":(\d+),"task":\{"id":"[^"]*"(,"title")?|%b([0-9a-f]{%d})' % (SIGN, MARK_DIGITS)
).findall

#: A task is created as version 1; its first change makes version 2, and is number 0 of its stream.
FIRST_CHANGED_VERSION = 2

_Found = tuple[bytes, bytes, bytes, bytes, bytes]


class TaskSieve(Sieve):
    """A sieve that knows events of tasks beside marked messages.

    The events of one task on one channel in one view are a stream: their versions rise by one. Other events, such as
    the feed's, are passed over.

    Attributes:
        began_us: Tells from which moment a latency runs; see :class:`benchmarks.care.moments.Moments`.
    """

    def __init__(self, check: Check, began_us: Callable[[Version], int]) -> None:
        super().__init__(check)
        self.began_us = began_us
        self._streams: dict[tuple[str, str, bool], int] = {}
        self._events: dict[_Found, Mark] = {}

    def stream(self, channel: str, task_id: str, *, full: bool) -> int:
        """Return the number of a stream. Numbers of tasks are below zero: those of marks begin with zero."""
        return self._streams.setdefault((channel, task_id, full), -1 - len(self._streams))

    def sent(self, versions: dict[str, int]) -> dict[int, int]:
        """Return how many events each stream has had, by the versions that the tasks have by now."""
        return {
            number: versions.get(task_id, 1) + 1 - FIRST_CHANGED_VERSION
            for (_, task_id, _), number in self._streams.items()
        }

    def scan(self, chunk: bytes) -> list[Mark] | None:
        """See :meth:`Sieve.scan`. A chunk with events of other kinds alone has no marks, and is no reply either."""
        if b'"successful"' in chunk or b'"/meta/' in chunk:
            return None
        return self._marks_in(chunk)

    def take(self, payload: bytes) -> tuple[list[Mark], list[dict[str, Any]]]:
        """See :meth:`Sieve.take`."""
        marks = self._marks_in(payload)
        if b'"successful"' not in payload and b'"/meta/' not in payload:
            return marks, []
        return marks, self._replies(payload, has_deliveries=True)

    def _marks_in(self, data: bytes) -> list[Mark]:
        events = self._events
        return [events.get(found) or self._first(found, data) for found in _FOUND(data)]

    def _first(self, found: _Found, data: bytes) -> Mark:
        channel, task_id, version, title, digits = found
        if digits:
            mark = self._first_sight(digits, data)
        else:
            change = (task_id.decode(), int(version))
            stream = self.stream(channel.decode(), change[0], full=bool(title))
            mark = (stream, change[1] - FIRST_CHANGED_VERSION, self.began_us(change))
        self._events[found] = mark
        return mark

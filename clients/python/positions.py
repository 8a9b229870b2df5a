"""What one subscription has seen of each channel's history."""

from collections import OrderedDict
from typing import Final

import msgspec

MAX_CHANNELS: Final = 10_000


class _Span(msgspec.Struct):
    """Ids of one channel.

    Attributes:
        first: The first that was seen live.
        last: The last.
        told: How far the past before ``first`` was told; 0 if none of it was.
    """

    first: int
    last: int
    told: int = 0


class Positions:
    """Knows which events are new, and where to go on after a new session began.

    Ids of a channel rise. Only when a past is asked for may a lower one come after a higher one: what was published
    meanwhile can arrive before the past does.

    Args:
        wants_past: Whether events from before the subscription were asked for.
        max_channels: Channels remembered; those longest silent are forgotten first.
    """

    def __init__(self, *, wants_past: bool, max_channels: int = MAX_CHANNELS) -> None:
        self._wants_past = wants_past
        self._max_channels = max_channels
        self._spans: OrderedDict[str, _Span] = OrderedDict()

    def is_new(self, channel: str, event_id: int) -> bool:
        """Return whether an event was not seen before, and remember that it now was."""
        span = self._spans.get(channel)
        if span is None:
            self._spans[channel] = _Span(event_id if self._wants_past else 0, event_id)
            if len(self._spans) > self._max_channels:
                self._spans.popitem(last=False)
            return True
        self._spans.move_to_end(channel)
        if span.told < event_id < span.first:
            span.told = event_id
            return True
        if span.told and event_id >= span.first:
            span.first = span.told = 0  # the past has been told up to what was seen live
        if event_id <= span.last:
            return False
        span.last = event_id
        return True

    def resume(self) -> dict[str, int]:
        """Return by channel the id after which to go on."""
        return {channel: span.told or span.last for channel, span in self._spans.items()}

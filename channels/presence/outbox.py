"""Events that were found but not yet published, in memory. Pure."""

from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar


class Identified(Protocol):
    """Anything with an ``event_id``."""

    @property
    def event_id(self) -> str:
        """The id by which it is settled."""
        ...


Item = TypeVar("Item", bound=Identified)

#: Entries beyond this are not remembered: they are still returned to the one who found them.
OUTBOX_LIMIT = 10_000


class Outbox(Generic[Item]):
    """Remembers what was handed out until it is settled."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[int, Item]] = {}

    def add(self, items: Iterable[Item], now_ms: int) -> None:
        """Remember ``items``, found now."""
        for item in items:
            if len(self._waiting) < OUTBOX_LIMIT:
                self._waiting[item.event_id] = (now_ms, item)

    def settle(self, event_ids: Sequence[str]) -> None:
        """Forget what was published."""
        for event_id in event_ids:
            self._waiting.pop(event_id, None)

    def older_than(self, moment_ms: int) -> list[Item]:
        """Return what was found at or before ``moment_ms``, in the order it was found."""
        return [item for found_ms, item in self._waiting.values() if found_ms <= moment_ms]

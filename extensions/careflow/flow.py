"""How much of one partition is on its way, and how far it is delivered. Pure."""

from typing import Final, NamedTuple

#: Nothing delivered yet since the partition was assigned.
_NOWHERE: Final = -1


class Water(NamedTuple):
    """When to pause a partition, and when to go on: records at or above, records at or below, bytes at or above."""

    high_records: int
    low_records: int
    high_bytes: int


class Flow:
    """The account of one partition between two assignments.

    Attributes:
        epoch: Which assignment this is; what belongs to an earlier one no longer counts.
        paused: Whether the partition was told to wait.
    """

    def __init__(self, epoch: int, water: Water) -> None:
        self.epoch = epoch
        self.paused = False
        self._water = water
        self._records = 0
        self._bytes = 0
        self._next = _NOWHERE
        self._committed = _NOWHERE

    @property
    def waiting_records(self) -> int:
        """Records that were taken and not yet delivered."""
        return self._records

    @property
    def next_offset(self) -> int | None:
        """Offset after the last record that was delivered, None if none was."""
        return None if self._next == _NOWHERE else self._next

    def took(self, records: int, size_bytes: int) -> None:
        """Records were read."""
        self._records += records
        self._bytes += size_bytes

    def delivered(self, offset: int, size_bytes: int) -> None:
        """The record at ``offset`` was delivered, and with it all before it: a partition has one handler at a time."""
        self._records -= 1
        self._bytes -= size_bytes
        self._next = offset + 1

    def to_commit(self) -> int | None:
        """Return the offset to commit, None if there is nothing new."""
        return self._next if self._next > self._committed else None

    def committed(self, next_offset: int) -> None:
        """The group has this offset."""
        self._committed = max(self._committed, next_offset)

    @property
    def must_pause(self) -> bool:
        """Whether too much waits."""
        return self._records >= self._water.high_records or self._bytes >= self._water.high_bytes

    @property
    def may_resume(self) -> bool:
        """Whether little enough waits."""
        return self._records <= self._water.low_records and self._bytes * 2 <= self._water.high_bytes

"""Counts what one subscriber got of each stream: nothing missing, nothing twice, nothing out of order."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# The first message of the stream that arrives says where it begins (a subscription made while messages flow).
UNKNOWN_BASE = -1
# A jump beyond this is no gap but a broken mark; it also bounds what a gap can make us remember.
MAX_GAP = 1_000_000


@dataclass(slots=True)
class Count:
    """Deliveries of one or many subscribers; all are numbers of messages."""

    expected: int = 0
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    misdelivered: int = 0

    def add(self, other: "Count") -> None:
        """Add the counts of ``other`` to these."""
        self.expected += other.expected
        self.received += other.received
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.out_of_order += other.out_of_order
        self.misdelivered += other.misdelivered


@dataclass(slots=True)
class Ledger:
    """What one subscriber received of the streams it expects.

    The receiver's hot path reads and advances ``expected`` itself and calls :meth:`irregular` for everything that is
    not simply the next message: a method call for each delivery would double what a delivery costs.

    Attributes:
        expected: Next sequence number by stream number.
        bases: First sequence number of the current run by stream number; older messages belong to an earlier run.
    """

    expected: dict[int, int]
    bases: Mapping[int, int] = field(default_factory=dict)
    duplicated: int = 0
    out_of_order: int = 0
    misdelivered: int = 0
    _missing: dict[int, set[int]] = field(default_factory=dict)
    _since: dict[int, int] = field(default_factory=dict)
    _forgotten: Count = field(default_factory=Count)

    def accept(self, stream: int, sequence: int) -> None:
        """Count message ``sequence`` of ``stream``."""
        if self.expected.get(stream) == sequence:
            self.expected[stream] = sequence + 1
        else:
            self.irregular(stream, sequence)

    def irregular(self, stream: int, sequence: int) -> None:
        """Count a message that is not the next one of its stream: early, late, doubled or not ours at all."""
        following = self.expected.get(stream)
        if following is None:
            self.misdelivered += 1
        elif following == UNKNOWN_BASE:
            self._since[stream] = sequence
            self.expected[stream] = sequence + 1
        elif sequence >= following:
            self._skip(stream, following, sequence)
        elif sequence < self._base(stream):
            return  # counted as lost when its own run was settled
        elif sequence in self._missing.get(stream, ()):
            self._missing[stream].discard(sequence)
            self.out_of_order += 1
        else:
            self.duplicated += 1

    def _skip(self, stream: int, following: int, sequence: int) -> None:
        if sequence - following > MAX_GAP:
            self.misdelivered += 1
            return
        self._missing.setdefault(stream, set()).update(range(following, sequence))
        self.expected[stream] = sequence + 1

    def forget(self, stream: int) -> None:
        """Expect nothing more of ``stream``; what it brought, and what is missing up to its last message, counts."""
        following = self.expected.pop(stream, UNKNOWN_BASE)
        if following != UNKNOWN_BASE:
            self._forgotten.expected += following - self._base(stream)
            self._forgotten.lost += len(self._missing.pop(stream, ()))
        self._since.pop(stream, None)

    def _base(self, stream: int) -> int:
        return self._since.get(stream, self.bases.get(stream, 0))

    def is_complete(self, sent: Mapping[int, int]) -> bool:
        """Whether everything that ``sent`` counts has arrived."""
        return not any(self._missing.values()) and all(
            following >= sent.get(stream, 0) for stream, following in self.expected.items() if following != UNKNOWN_BASE
        )

    def settle(self, sent: Mapping[int, int]) -> Count:
        """Close the books of a run.

        Args:
            sent: How many messages each stream has published since it began.

        Returns:
            The counts since the last settling. What is expected next is what will be sent next: a message that still
            arrives afterwards is counted nowhere.
        """
        lost, expected = self._forgotten.lost, self._forgotten.expected
        for stream, following in self.expected.items():
            if following == UNKNOWN_BASE or stream not in sent:
                continue
            lost += max(0, sent[stream] - following)
            expected += sent[stream] - self._base(stream)
            self.expected[stream] = max(following, sent[stream])
        lost += sum(len(numbers) for numbers in self._missing.values())
        self._missing.clear()
        count = Count(expected, expected - lost, lost, self.duplicated, self.out_of_order, self.misdelivered)
        self.duplicated = self.out_of_order = self.misdelivered = 0
        self.bases, self._forgotten = sent, Count()
        self._since.clear()
        return count

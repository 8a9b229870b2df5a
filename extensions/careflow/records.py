"""What travels: records as they are read, and why one cannot be used."""

from typing import Final, NamedTuple

from msgspec import Struct

#: Header of a record whose event subscribers have been shown before it was sent. Set by us only, never by a client.
SHOWN_HEADER: Final = "careflow-shown"


class Partition(NamedTuple):
    """One partition of a topic: its records are in order, those of different partitions are not."""

    topic: str
    number: int


class Record(Struct, frozen=True):
    """A record as it was read.

    Attributes:
        offset: Its place in the partition.
        headers: Of whoever wrote it.
        timestamp_ms: When it was written, since 1970, UTC.
    """

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")


class BadRecordError(Exception):
    """A record that will never be usable, however often it is tried.

    Attributes:
        field: Dotted path of the field, "" for the record itself.
        rule: What refused it.

    Neither holds anything of the record's content, which may be PHI.
    """

    def __init__(self, field: str, rule: str, detail: str = "") -> None:
        self.field = field
        self.rule = rule
        super().__init__(f"{field or 'record'}: {rule}{', ' if detail else ''}{detail}")


class BusUnavailableError(OSError):
    """The bus has not taken an event, or has not said so. It may or may not have it: send it again."""

"""Dead letters: where an unusable record is, and why it is unusable. Pure.

A dead letter does not repeat the record. The record stays in its own topic, under that topic's rights and retention,
and is read again from there when the letter is redriven; so no PHI gets into a second place.
"""

from typing import Final

import msgspec
from msgspec import Struct

from extensions.careflow.records import BadRecordError, Partition, Record

_MAX_HEADERS: Final = 32
_MAX_HEADER_CHARACTERS: Final = 256


class DeadLetter(Struct, frozen=True, kw_only=True, rename={"moment": "timestamp"}):
    """A record that could not be used.

    Attributes:
        headers: The record's, the longest cut.
        error_class: Name of the exception.
        reason: Field and rule, without anything of the content.
        size_bytes: Of the record's key and value.
        moment: When it became a dead letter; ISO 8601, UTC, milliseconds. ``timestamp`` in JSON.
    """

    topic: str
    partition: int
    offset: int
    headers: dict[str, str]
    error_class: str
    reason: str
    size_bytes: int
    moment: str

    @property
    def id(self) -> str:
        """Where the record is, as ``topic:partition:offset``. A record that fails twice has one letter."""
        return f"{self.topic}:{self.partition}:{self.offset}"

    @property
    def origin(self) -> Partition:
        """The partition the record is in."""
        return Partition(self.topic, self.partition)


def dead_letter_of(record: Record, error: Exception, moment: str) -> DeadLetter:
    """Return the dead letter of a record.

    The text of an error other than :class:`BadRecordError` is left out: it may quote the record.
    """
    headers = record.headers[:_MAX_HEADERS]
    return DeadLetter(
        topic=record.partition.topic,
        partition=record.partition.number,
        offset=record.offset,
        headers={
            name[:_MAX_HEADER_CHARACTERS]: value[:_MAX_HEADER_CHARACTERS].decode(errors="replace")
            for name, value in headers
        },
        error_class=type(error).__name__,
        reason=str(error) if isinstance(error, BadRecordError) else "unexpected error",
        size_bytes=record.size_bytes,
        moment=moment,
    )


def encode_letter(letter: DeadLetter) -> bytes:
    """Return the dead letter as JSON."""
    return msgspec.json.encode(letter)


def decode_letter(value: bytes) -> DeadLetter:
    """Return the dead letter in a record's value.

    Raises:
        msgspec.DecodeError: If it is none.
    """
    return msgspec.json.decode(value, type=DeadLetter)

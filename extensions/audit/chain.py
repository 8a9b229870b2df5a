"""A chain of records: each holds the hash of the one before it, so that none can be changed, moved or taken out unseen.

A record is one line of JSON, ``{"seq", "prev", "event", "hash"}``; ``hash`` is over ``seq``, ``prev`` and the bytes of
``event`` as they stand in the file. With a key it is an HMAC, and whoever can write the file but has not the key cannot
make a chain that verifies. What a chain cannot show by itself is that its newest records were cut off: note the head
that ``verify`` tells somewhere else, and give it to the next verification.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec

#: ``prev`` of the first record.
GENESIS: Final = "0" * 64


class Record(msgspec.Struct, forbid_unknown_fields=True):
    """One line. ``seq`` counts from 1 without holes, over all files of a log."""

    seq: int
    prev: str
    event: msgspec.Raw
    hash: str


class Head(msgspec.Struct, frozen=True):
    """Where a chain stands."""

    seq: int = 0
    hash: str = GENESIS


class BrokenChainError(ValueError):
    """A line that does not follow from the one before it."""


def link(head: Head, event: Mapping[str, Any], key: bytes | None) -> tuple[bytes, Head]:
    """Return the line that adds ``event`` to a chain, and the chain's new head."""
    body = msgspec.json.encode(event)
    seq = head.seq + 1
    digest = _digest(seq, head.hash, body, key)
    line = msgspec.json.encode(Record(seq, head.hash, msgspec.Raw(body), digest))
    return line + b"\n", Head(seq, digest)


def follow(head: Head, line: bytes, key: bytes | None) -> Head:
    """Return the head after a line.

    Raises:
        BrokenChainError: If the line is no record, or does not follow from ``head``.
    """
    try:
        record = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BrokenChainError("not a record") from None
    if record.seq != head.seq + 1:
        raise BrokenChainError(f"record {record.seq} stands where {head.seq + 1} should")
    if record.prev != head.hash:
        raise BrokenChainError("does not follow from the record before it")
    if not hmac.compare_digest(record.hash, _digest(record.seq, record.prev, bytes(record.event), key)):
        raise BrokenChainError("was changed, or made with another key")
    return Head(record.seq, record.hash)


def head_of(line: bytes, key: bytes | None) -> Head:
    """Return the head that a line leaves, believing it about what came before.

    Raises:
        BrokenChainError: If the line is no record, or was changed.
    """
    try:
        record = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BrokenChainError("not a record") from None
    return follow(Head(record.seq - 1, record.prev), line, key)


def _digest(seq: int, prev: str, body: bytes, key: bytes | None) -> str:
    message = b"%d\n%b\n%b" % (seq, prev.encode(), body)
    return hmac.digest(key, message, "sha256").hex() if key else hashlib.sha256(message).hexdigest()


_DECODER: Final = msgspec.json.Decoder(Record)

"""Moments as the events write them."""

from datetime import UTC, datetime


def iso_utc_ms(at_s: float) -> str:
    """Return a moment, seconds since the epoch, as ISO 8601 in UTC with milliseconds: ``2025-11-13T10:00:00.000Z``.

    Of fixed width, so that the order of the texts is the order of the moments.
    """
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def normal_iso(timestamp: str) -> str:
    """Return a timestamp that has passed its schema, whatever its offset and precision, as :func:`iso_utc_ms` does.

    Raises:
        ValueError: If the pattern let through what is no moment, such as 31 February.
    """
    return iso_utc_ms(datetime.fromisoformat(timestamp).timestamp())

"""What one session may pile up."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """What one session may pile up.

    Attributes:
        max_queue_messages: Messages waiting for a client that does not take them.
        max_queue_bytes: The same in bytes of JSON.
        drop_oldest: At a limit, drop the oldest messages and tell their number with the next connect reply
            (``ext.dropped``), instead of ending the session.
    """

    max_queue_messages: int = 10_000
    max_queue_bytes: int = 8 * 1024 * 1024
    drop_oldest: bool = False

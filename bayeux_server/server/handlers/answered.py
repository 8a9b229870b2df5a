"""A connect that need not wait."""

import msgspec

from bayeux_server.server.delivery import Delivery


class Answered(msgspec.Struct, frozen=True):
    """A connect that is answered now.

    Attributes:
        deliveries: The events its reply carries.
        interval_ms: What the client is to wait, if it is to wait.
        multiple_clients: Whether that is because of its browser's other sessions.
    """

    deliveries: list[Delivery]
    interval_ms: int | None = None
    multiple_clients: bool = False

"""The messages of one request or frame, and what came of them."""

from collections.abc import Callable

import msgspec

from bayeux_server.protocol.messages import Reply
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.origin import Origin
from bayeux_server.server.session import Hold, ServerSession

#: Sends the answer of a held connect: the events it carries, and its reply.
LateAnswer = Callable[[ServerSession, list[Delivery], Reply], None]


class Outcome(msgspec.Struct):
    """What a batch led to.

    Attributes:
        replies: In the order of the messages. A handshake's reply goes before the events, all others behind.
        deliveries: Events that travel with the reply of a connect in this batch.
        session: The session of that connect, to give the events back to if they cannot be sent.
        hold: A connect that is held; ``replies`` is empty then.
        foreign: Whether an id was used that is another's. A socket is closed after that.
    """

    replies: list[Reply] = []
    deliveries: list[Delivery] = []
    session: ServerSession | None = None
    hold: Hold | None = None
    foreign: bool = False


class Batch(msgspec.Struct):
    """What the messages of one request or frame have in common.

    Attributes:
        late: Called with the answer of a connect that was held.
        alone: Whether the message has no company.
        stand_in: For the publishes that name no session, once there is one of them.
    """

    origin: Origin
    late: LateAnswer
    alone: bool
    outcome: Outcome
    stand_in: ServerSession | None = None

"""All scenarios, in the order of a session's life."""

from tests.conformance import handshake, connect, subscribe, unsubscribe, publish, disconnect  # noqa: I001, F401
from tests.conformance import http, cors, websocket, callback_polling, eventsource, binding  # noqa: F401
from tests.conformance.world import SCENARIOS

__all__ = ["SCENARIOS"]

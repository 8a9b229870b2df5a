"""An async Bayeux client.

.. code-block:: python

    async with BayeuxClient("http://127.0.0.1:8000/bayeux") as client:
        async with await client.subscribe("/chat/**") as events:
            await client.publish("/chat/hello", {"text": "Hello"})
            async for event in events:
                print(event.channel, event.data)

Services without an event loop use :class:`clients.python.sync.SyncBayeuxClient`.
"""

from clients.python.client import BayeuxClient
from clients.python.errors import CallFailedError, ClientClosedError, ClientError, RefusedError, TransportError
from clients.python.events import ClientState, Event, Gap
from clients.python.subscription import Subscription

__all__ = [
    "BayeuxClient",
    "CallFailedError",
    "ClientClosedError",
    "ClientError",
    "ClientState",
    "Event",
    "Gap",
    "RefusedError",
    "Subscription",
    "TransportError",
]

"""The client for services without an event loop: the same, on a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from clients.python.client import BayeuxClient
from clients.python.events import Event
from clients.python.subscription import Subscription

T = TypeVar("T")


class SyncBayeuxClient:
    """Calls of :class:`BayeuxClient` that wait. Usable from any thread.

    .. code-block:: python

        with SyncBayeuxClient("http://127.0.0.1:8000/bayeux") as client:
            client.publish("/task/task_789", {"type": "task.updated"})

    Args:
        url: The server's Bayeux end point.
        options: As for :class:`BayeuxClient`.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bayeux-client", daemon=True)
        self._client: BayeuxClient | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._client = self._wait(self._open())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._wait(self._client.close())
        self._end()

    def publish(self, channel: str, data: Any) -> None:
        """See :meth:`BayeuxClient.publish`."""
        self._wait(self._open_client.publish(channel, data))

    def call(self, channel: str, data: Any = None) -> Any:
        """See :meth:`BayeuxClient.call`."""
        return self._wait(self._open_client.call(channel, data))

    def subscribe(self, channel: str, *, max_waiting: int = 10_000) -> Iterator[Event]:
        """Subscribe, and return the events as an iterator that waits for each."""
        subscription = self._wait(self._open_client.subscribe(channel, max_waiting=max_waiting))
        return self._events(subscription)

    def _events(self, subscription: Subscription) -> Iterator[Event]:
        while (event := self._wait(_next(subscription))) is not None:
            yield event

    @property
    def _open_client(self) -> BayeuxClient:
        if self._client is None:
            raise RuntimeError("use the client in a with statement")
        return self._client

    async def _open(self) -> BayeuxClient:
        client = BayeuxClient(self._url, **self._options)
        await client.open()
        return client

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(subscription: Subscription) -> Event | None:
    return await anext(subscription, None)

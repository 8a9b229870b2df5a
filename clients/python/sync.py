"""The client for services without an event loop: the same, on a loop in a thread of its own."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from clients.python.client import BayeuxClient
from clients.python.errors import ClientClosedError, RefusedError
from clients.python.events import ClientState, Event, Gap
from clients.python.subscription import Subscription

T = TypeVar("T")


class SyncSubscription:
    """Events of one channel or pattern, as an iterator that waits for each. Ends when the client is closed."""

    def __init__(self, client: "SyncBayeuxClient", subscription: Subscription) -> None:
        self._client = client
        self._subscription = subscription

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unsubscribe()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        event = self._client.wait_for(_next(self._subscription))
        if event is None:
            raise StopIteration
        return event

    def unsubscribe(self) -> None:
        """Stop the events. The iterator ends after those that have arrived."""
        self._client.wait_for(self._subscription.unsubscribe())


class SyncBayeuxClient:
    """Calls of :class:`BayeuxClient` that wait. Usable from any number of threads.

    .. code-block:: python

        with SyncBayeuxClient("http://127.0.0.1:8000/bayeux") as client:
            client.publish("/task/task_789", {"type": "task.updated"})

    Args:
        url: The server's Bayeux end point.
        on_state: Called with each new state, on the client's own thread: it may not call the client.
        on_gap: Called likewise when events may be missing.
        on_revoked: Called likewise with each channel or pattern that the user may not see any more.
        options: As for :class:`BayeuxClient`.
    """

    def __init__(
        self,
        url: str,
        *,
        on_state: Callable[[ClientState], object] | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        on_revoked: Callable[[str], object] | None = None,
        **options: Any,
    ) -> None:
        self._url = url
        self._on_state = on_state
        self._on_gap = on_gap
        self._on_revoked = on_revoked
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bayeux-client", daemon=True)
        self._client: BayeuxClient | None = None
        # Nobody may hand in work between the last look at what is under way and the end of the loop.
        self._entrance = threading.Lock()
        self._is_open = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_open = True
        try:
            self._client = self.wait_for(self._open())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.wait_for(self._open_client.close())
        finally:
            self._end()

    def publish(self, channel: str, data: Any) -> None:
        """See :meth:`BayeuxClient.publish`."""
        self.wait_for(self._open_client.publish(channel, data))

    def publish_all(self, messages: Sequence[tuple[str, Any]]) -> list[RefusedError | None]:
        """See :meth:`BayeuxClient.publish_all`."""
        return self.wait_for(self._open_client.publish_all(messages))

    def call(self, channel: str, data: Any = None) -> Any:
        """See :meth:`BayeuxClient.call`."""
        return self.wait_for(self._open_client.call(channel, data))

    def refresh(self, token: str) -> None:
        """See :meth:`BayeuxClient.refresh`."""
        self.wait_for(self._open_client.refresh(token))

    def subscribe(self, channel: str, **options: Any) -> SyncSubscription:
        """Subscribe; options as for :meth:`BayeuxClient.subscribe`, without a callback."""
        return SyncSubscription(self, self.wait_for(self._open_client.subscribe(channel, **options)))

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the client's loop and return its result.

        Raises:
            RuntimeError: On the client's own thread, which would wait for itself.
            ClientClosedError: If the client is closed, or is closed meanwhile.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("the client cannot be called from its own callbacks")
        with self._entrance:
            if not self._is_open:
                work.close()
                raise ClientClosedError("the client is closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise ClientClosedError("the client was closed") from None
        except BaseException:
            future.cancel()  # Ctrl-C: whoever waited does no more
            raise

    @property
    def _open_client(self) -> BayeuxClient:
        if self._client is None:
            raise ClientClosedError("use the client in a with statement")
        return self._client

    async def _open(self) -> BayeuxClient:
        client = BayeuxClient(self._url, **self._options)
        if self._on_state is not None:
            client.on_state.append(self._on_state)
        if self._on_gap is not None:
            client.on_gap.append(self._on_gap)
        if self._on_revoked is not None:
            client.on_revoked.append(self._on_revoked)
        await client.open()
        return client

    def _end(self) -> None:
        with self._entrance:
            self._is_open = False
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(subscription: Subscription) -> Event | None:
    return await anext(subscription, None)


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)

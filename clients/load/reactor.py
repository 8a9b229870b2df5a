"""The event loop: epoll and a heap of timers.

Its own loop, because a load harness must cost less than what it measures: asyncio spends some 3 us on each readiness
event (a handle, a context, a protocol call), this one 0.2 us, beside a receive call of 1 us.
"""

import heapq
import itertools
import select
import time
from collections.abc import Callable

# Due publishes are looked for at least once in so many sockets: some 0.2 ms of work.
EVENTS_AT_ONCE = 64
MAX_WAIT_S = 0.5

# After sockets were ready it rests this long before it looks again, so that one look finds many. A server writes to
# its sockets one after the other: woken for each, we would spend more on waking (5 us) than on receiving (2 us). The
# price: a delivery may lie here for that time, so latencies read up to 0.2 ms high.
REST_S = 0.000_15

READ = select.EPOLLIN | select.EPOLLRDHUP
WRITE = select.EPOLLOUT


class Reactor:
    """Runs callbacks when sockets are ready or times come; one thread.

    Attributes:
        busy_ns: Wall time spent outside of waiting, nanoseconds, since the reactor was made.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._tie = itertools.count()
        self.busy_ns = 0

    def watch(self, fd: int, events: int, handler: Callable[[int], None]) -> None:
        """Call ``handler(events)`` whenever ``fd`` is ready; replaces what was watched on it."""
        if fd in self._handlers:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Watch ``fd`` no longer."""
        if self._handlers.pop(fd, None):
            self._epoll.unregister(fd)

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, when ``time.monotonic_ns()`` has reached ``when_ns``."""
        heapq.heappush(self._timers, (when_ns, next(self._tie), callback))

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, ``delay_s`` seconds from now."""
        self.call_at(time.monotonic_ns() + round(delay_s * 1e9), callback)

    def run_while(self, wanted: Callable[[], bool]) -> None:
        """Run until ``wanted()`` is false."""
        handlers, poll, now = self._handlers, self._epoll.poll, time.monotonic_ns
        woke = now()
        while wanted():
            events = poll(0, EVENTS_AT_ONCE)
            for fd, mask in events:
                # A handler earlier in this batch may have closed the socket.
                handler = handlers.get(fd)
                if handler is not None:
                    handler(mask)
            self._run_due()
            if len(events) < EVENTS_AT_ONCE:
                self.busy_ns += now() - woke
                if events:
                    self._rest()
                else:
                    self._wait()
                woke = now()
        self.busy_ns += now() - woke

    def _rest(self) -> None:
        due_s = (self._timers[0][0] - time.monotonic_ns()) / 1e9 if self._timers else REST_S
        if due_s > 0:
            time.sleep(min(REST_S, due_s))

    def _wait(self) -> None:
        wait_s = MAX_WAIT_S
        if self._timers:
            wait_s = min(wait_s, (self._timers[0][0] - time.monotonic_ns()) / 1e9)
        if wait_s > 0:
            # epoll_wait counts in milliseconds, which would add half of one to every latency; select counts in
            # microseconds, and an epoll descriptor can be waited for like any other.
            select.select((self._epoll,), (), (), wait_s)

    def _run_due(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= time.monotonic_ns():
            heapq.heappop(timers)[2]()

    def close(self) -> None:
        """Give the descriptors back."""
        self._epoll.close()
        self._handlers.clear()
        self._timers.clear()

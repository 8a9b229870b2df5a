"""HTTP requests on the load's reactor, over connections that stay open."""

from collections import deque
from collections.abc import Callable

from clients.load.http_wire import Response, take_response
from clients.load.reactor import Reactor
from clients.load.stream import ByteStream
from clients.load.target import Target

Then = Callable[[Response], None]


class RequestError(Exception):
    """A connection ended with a request under way."""


class Requests:
    """Some connections, one request at a time on each; requests beyond wait their turn."""

    def __init__(self, target: Target, reactor: Reactor, connections: int) -> None:
        self.target = target
        self._waiting: deque[tuple[bytes, Then]] = deque()
        self._idle: list[_Connection] = []
        self.under_way = 0
        for _ in range(connections):
            _Connection(target, reactor, self._free)

    def send(self, request: bytes, then: Then) -> None:
        """Send a whole request, and call ``then`` with the response."""
        self.under_way += 1
        if self._idle:
            self._idle.pop().send(request, then)
        else:
            self._waiting.append((request, then))

    def _free(self, connection: "_Connection", *, answered: bool) -> None:
        self.under_way -= answered
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._idle.append(connection)


class _Connection:
    def __init__(self, target: Target, reactor: Reactor, free: Callable[..., None]) -> None:
        self._free = free
        self._then: Then | None = None
        self._rest = b""
        self._stream = ByteStream(reactor, lambda: free(self, answered=False), self._received, self._ended)
        self._stream.connect(target)

    def send(self, request: bytes, then: Then) -> None:
        self._then = then
        self._stream.write(request)

    def _received(self, data: bytes) -> None:
        taken = take_response(self._rest + data)
        if taken is None:
            self._rest += data
            return
        response, self._rest = taken
        then, self._then = self._then, None
        if then is not None:
            then(response)
        self._free(self, answered=True)

    def _ended(self, reason: str) -> None:
        if self._then is not None:
            raise RequestError(reason)

"""A session over long-polling: one connection for the held connect, one for everything else, as browsers do."""

from collections.abc import Callable, Iterable

from clients.load.fleet import Fleet
from clients.load.http_wire import Response, request, request_head, take_response
from clients.load.session import RETRY_S, Session
from clients.load.stream import ByteStream
from clients.load.topology import Member

# Publishes that wait for the connection are sent together, up to so many.
MESSAGES_AT_ONCE = 100
SLOW_PAUSE_S = 1.0


class HttpConnection:
    """One keep-alive connection, one request at a time; opens itself again when the server has closed it.

    ``on_response(response)`` is called for each answer, ``on_lost(reason)`` when a request has none.
    """

    def __init__(self, fleet: Fleet, on_response: Callable[[Response], None], on_lost: Callable[[str], None]) -> None:
        self._fleet, self._on_response, self._on_lost = fleet, on_response, on_lost
        self._stream = self._new_stream()
        self._head = request_head(fleet.target)
        self._pending = b""
        self._received = b""
        self._is_reused = False

    @property
    def is_busy(self) -> bool:
        """Whether a request waits for its response."""
        return bool(self._pending)

    def post(self, payload: bytes) -> None:
        """Send a request with the JSON body ``payload``; the connection must not be busy."""
        self._pending = payload
        if self._stream.is_open:
            self._is_reused = True
            self._send()
        else:
            self._reopen()

    def show(self, cookies: bytes) -> None:
        """Send ``cookies`` with every request from now on."""
        self._head = request_head(self._fleet.target, cookies)

    def close(self, *, abruptly: bool = False) -> None:
        """Close the connection; nothing is reported of what was under way."""
        self._pending = b""
        self._stream.close(abruptly=abruptly)

    def _new_stream(self) -> ByteStream:
        return ByteStream(self._fleet.reactor, self._send, self._arrived, self._ended)

    def _reopen(self) -> None:
        self._is_reused, self._received = False, b""
        self._stream = self._new_stream()
        self._stream.connect(self._fleet.target)

    def _send(self) -> None:
        self._stream.write(request(self._head, self._pending))

    def _arrived(self, chunk: bytes) -> None:
        self._received += chunk
        try:
            taken = take_response(self._received)
        except ValueError as error:
            self.close()
            self._on_lost(str(error))
            return
        if taken is None:
            return
        response, self._received = taken
        self._pending = b""
        if not response.keep_alive:
            self._stream.close()
        self._on_response(response)

    def _ended(self, reason: str) -> None:
        if not self._pending:
            return  # an idle connection, closed by the server: the next request opens another
        if self._is_reused and not self._received:
            # The server closed the idle connection while our request was on its way: it never saw it.
            self._reopen()
            return
        self._pending = b""
        self._on_lost(reason)


class PollingSession(Session):
    """Bayeux over HTTP: events come with the answer to a held connect."""

    connection_type = "long-polling"

    def __init__(self, member: Member, fleet: Fleet) -> None:
        super().__init__(member, fleet)
        self._connects = HttpConnection(fleet, self._connect_response, self._connect_lost)
        self._requests = HttpConnection(fleet, self._response, self._lost)
        self._queue: list[bytes] = []
        self._next_connect = b""
        self._pause_s = 0.0

    def open(self) -> None:
        """Handshake, or connect again after a cut."""
        self.reconnected()

    def send(self, payload: bytes) -> None:
        """Post as soon as the connection for requests is free."""
        self._queue.append(payload[1:-1])
        self._send_queue()

    def send_connect(self, payload: bytes) -> None:
        """Post on the connection for connects, after the one that is under way."""
        if self._pause_s:
            self.fleet.reactor.call_later(self._pause_s, lambda: None if self.is_over else self._connects.post(payload))
        elif self._connects.is_busy:
            self._next_connect = payload
        else:
            self._connects.post(payload)

    def publish(self, messages: Iterable[bytes]) -> None:
        """Post ``messages`` as soon as the connection for requests is free."""
        self._queue.extend(messages)
        self._send_queue()

    def hang_up(self, *, abruptly: bool = False) -> None:
        """Close both connections."""
        self._queue.clear()
        self._next_connect = b""
        self._connects.close(abruptly=abruptly)
        self._requests.close(abruptly=abruptly)

    def read_slowly(self) -> None:
        """Poll once a second: over HTTP the slow reader is the one that comes back late."""
        self._pause_s = SLOW_PAUSE_S

    def _send_queue(self) -> None:
        if self._queue and not self._requests.is_busy:
            batch, self._queue = self._queue[:MESSAGES_AT_ONCE], self._queue[MESSAGES_AT_ONCE:]
            self._requests.post(b"[%b]" % b",".join(batch))

    def _connect_response(self, response: Response) -> None:
        self._take(response)
        if self._next_connect and not self._connects.is_busy:
            payload, self._next_connect = self._next_connect, b""
            self._connects.post(payload)

    def _response(self, response: Response) -> None:
        self._take(response)
        self._send_queue()

    def _take(self, response: Response) -> None:
        if response.status != 200:
            self.over(f"HTTP {response.status}")
            return
        if response.cookies:
            # As a browser does: a server may bind the session to its cookie (CometD, and ours).
            for connection in (self._connects, self._requests):
                connection.show(b"; ".join(response.cookies))
        marks, replies = self.fleet.sieve.take(response.body)
        if self._pause_s:
            for stream, sequence, _ in marks:
                self.ledger.accept(stream, sequence)
        elif marks:
            self.fleet.deliver(self.ledger.expected, self.ledger.irregular, marks)
        for reply in replies:
            self.answered(reply)

    def _connect_lost(self, reason: str) -> None:
        if self.is_ready:
            # What a client does when its held poll is cut: it asks again.
            self.fleet.tally.cut_polls += 1
            self.fleet.reactor.call_later(RETRY_S, self.connect)
        else:
            self.over(reason)

    def _lost(self, reason: str) -> None:
        self.over(reason)

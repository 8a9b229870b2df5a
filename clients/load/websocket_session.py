"""A session over one WebSocket."""

import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence

from clients.load.fleet import Fleet
from clients.load.latency import CELL_BITS
from clients.load.mark import Mark
from clients.load.session import Reply, Session
from clients.load.stream import READ_BYTES, ByteStream
from clients.load.topology import Member
from clients.load.websocket_wire import (
    CLOSE,
    CONTINUATION,
    FINAL,
    PING,
    PONG,
    TEXT,
    client_frame,
    split_frames,
    upgrade_request,
    whole_texts,
)

# A slow reader's kernel holds little for it, and it takes this share of a second's bytes at a time.
SLOW_RECEIVE_BUFFER_BYTES = 4_096
SLOW_READS_PER_S = 10


class WebSocketSession(Session):
    """Bayeux over WebSocket: events are pushed in frames, a connect is held as heartbeat."""

    connection_type = "websocket"

    def __init__(self, member: Member, fleet: Fleet) -> None:
        super().__init__(member, fleet)
        self._stream = ByteStream(fleet.reactor, self._opened, self._received, self._ended)
        self._rest = b""
        self._fragments = b""
        self._upgraded = False

    def open(self) -> None:
        """Connect and ask for the upgrade."""
        self._rest, self._fragments, self._upgraded = b"", b"", False
        self._stream = ByteStream(self.fleet.reactor, self._opened, self._received, self._ended)
        slow = self.member.slow_bytes_per_s is not None
        self._stream.connect(self.fleet.target, SLOW_RECEIVE_BUFFER_BYTES if slow else None)

    def send(self, payload: bytes) -> None:
        """Send one text frame."""
        self._stream.write(client_frame(payload))

    send_connect = send

    def publish(self, messages: Iterable[bytes]) -> None:
        """Send all of ``messages`` in one frame."""
        self.send(b"[%b]" % b",".join(messages))

    def hang_up(self, *, abruptly: bool = False) -> None:
        """Close the socket."""
        self._stream.close(abruptly=abruptly)

    def read_slowly(self) -> None:
        """From now on read no more than the member's bytes per second."""
        self._stream.pause()
        self._read_a_little()

    def _read_a_little(self) -> None:
        if not self.is_over and self.member.slow_bytes_per_s is not None:
            self._stream.read(max(1, self.member.slow_bytes_per_s // SLOW_READS_PER_S))
            self.fleet.reactor.call_later(1 / SLOW_READS_PER_S, self._read_a_little)

    def _opened(self) -> None:
        self._stream.write(upgrade_request(self.fleet.target))

    def _ended(self, reason: str) -> None:
        self.over(reason if self._upgraded else f"upgrade: {reason}")

    def _received(self, chunk: bytes) -> None:
        sieve = self.fleet.sieve
        known = None if self._rest else sieve.chunks.get(chunk)
        marks: Sequence[Mark] = self._unpack(chunk) if known is None else known
        if self.member.slow_bytes_per_s is not None:
            # How long a slow reader takes is its own affair, and no figure of the server.
            for stream, sequence, _ in marks:
                self.ledger.accept(stream, sequence)
        elif marks:
            self.fleet.deliver(self.ledger.expected, self.ledger.irregular, marks)

    def _shortcut(self, connection: socket.socket) -> Callable[[int], None]:
        """Return the hot path: one call from readiness to counted deliveries, 1 us instead of 2 beside the receive.

        It does what ``ByteStream.ready``, ``_received`` and ``Fleet.deliver`` do for the usual case, whole frames seen
        before, and leaves every other case to them.
        """
        recv, ready, received = connection.recv, self._stream.ready, self._received
        known, ledger, recorder = self.fleet.sieve.chunks, self.ledger, self.fleet.recorder
        expected, origin_us, now_ns = ledger.expected, recorder.origin_us, time.monotonic_ns

        def arrived(mask: int) -> None:
            if mask != select.EPOLLIN or self._rest:
                ready(mask)
                return
            try:
                chunk = recv(READ_BYTES)
            except OSError:
                ready(mask)  # reads again, and says what is wrong
                return
            marks = known.get(chunk)
            if not marks:
                if chunk:
                    received(chunk)
                else:
                    ready(mask)
                return
            row, now_us = recorder.row, now_ns() // 1000 - origin_us
            for stream, sequence, due_us in marks:
                if expected.get(stream) == sequence:
                    expected[stream] = sequence + 1
                else:
                    ledger.irregular(stream, sequence)
                row[(now_us - due_us) >> CELL_BITS] += 1

        return arrived

    def _unpack(self, chunk: bytes) -> list[Mark]:
        data = self._rest + chunk
        if not self._upgraded:
            data = self._upgrade_answered(data)
            if not data:
                return []
        end = whole_texts(data)
        deliveries = self.fleet.sieve.scan(data[:end] if end < len(data) else data) if end > 0 else None
        if deliveries is not None:
            self._rest = data[end:]
            if data is chunk and not self._rest:
                self.fleet.sieve.remember(chunk, tuple(deliveries))
            return deliveries
        return self._unpack_frames(data)

    def _unpack_frames(self, data: bytes) -> list[Mark]:
        try:
            frames, end = split_frames(data)
        except ValueError as error:
            self.over(f"WebSocket: {error}")
            return []
        marks: list[Mark] = []
        for first, payload in frames:
            found, replies = self._frame(first, payload)
            marks += found
            for reply in replies:
                self.answered(reply)
        self._rest = data[end:]
        return marks

    def _frame(self, first: int, payload: bytes) -> tuple[list[Mark], list[Reply]]:
        if first == FINAL | TEXT:
            return self.fleet.sieve.take(payload)
        opcode = first & 0x0F
        if opcode == PING:
            self._stream.write(client_frame(payload, PONG))
        elif opcode == CLOSE:
            self.over(f"closed by the server: {int.from_bytes(payload[:2], 'big') or 'no code'}")
        elif opcode in (TEXT, CONTINUATION):
            self._fragments += payload
            if first & FINAL:
                whole, self._fragments = self._fragments, b""
                return self.fleet.sieve.take(whole)
        elif opcode != PONG:
            self.over(f"WebSocket: unexpected opcode {opcode}")
        return [], []

    def _upgrade_answered(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._rest = data
            return b""
        if data[9:12] != b"101":
            self.over(f"upgrade: HTTP {data[9:12].decode('latin-1')}")
            return b""
        self._upgraded, self._rest = True, b""
        if self._stream.socket is not None and self.member.slow_bytes_per_s is None:
            self._stream.shorten(self._shortcut(self._stream.socket))
        self.reconnected()
        return data[end + 4 :]

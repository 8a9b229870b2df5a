"""A non-blocking TCP (or TLS) connection on the reactor."""

import contextlib
import errno
import socket
import ssl
from collections.abc import Callable

from clients.load.reactor import READ, WRITE, Reactor
from clients.load.target import Target

READ_BYTES = 32_768
# What may wait for a server that does not read, before the connection is given up.
MAX_UNSENT_BYTES = 64 * 1024 * 1024

_WANT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_contexts: list[ssl.SSLContext] = []


class ByteStream:
    """One outgoing connection.

    ``on_open()`` is called once it can carry bytes, ``on_data(bytes)`` for what arrives, ``on_end(reason)`` once, when
    it is over for any reason but our own :meth:`close`.
    """

    __slots__ = (
        "_events",
        "_on_data",
        "_on_end",
        "_on_open",
        "_reactor",
        "_shortcut",
        "_tls",
        "_unsent",
        "is_open",
        "socket",
    )

    def __init__(
        self,
        reactor: Reactor,
        on_open: Callable[[], None],
        on_data: Callable[[bytes], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._reactor, self._on_open, self._on_data, self._on_end = reactor, on_open, on_data, on_end
        self.socket: socket.socket | None = None
        self._unsent = bytearray()
        self._tls = False
        self._events = READ
        self._shortcut: Callable[[int], None] | None = None
        self.is_open = False

    def connect(self, target: Target, receive_buffer_bytes: int | None = None) -> None:
        """Begin to connect; a small ``receive_buffer_bytes`` makes the kernel hold little for a slow reader."""
        self.socket = connection = socket.socket(target.family, socket.SOCK_STREAM)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._tls = target.tls
        status = connection.connect_ex(target.address)
        if status not in (0, errno.EINPROGRESS):
            self._end(errno.errorcode.get(status, "connect failed"))
            return
        self._reactor.watch(connection.fileno(), WRITE, lambda _mask: self._connected(target))

    def _connected(self, target: Target) -> None:
        connection = self.socket
        if connection is None:
            return
        status = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            self._end(errno.errorcode.get(status, "connect failed"))
            return
        if not target.tls:
            self._opened()
            return
        self._reactor.forget(connection.fileno())
        self.socket = wrapped = _context().wrap_socket(
            connection, server_hostname=target.server_name, do_handshake_on_connect=False
        )
        self._reactor.watch(wrapped.fileno(), READ | WRITE, lambda _mask: self._greet(wrapped))

    def _greet(self, wrapped: ssl.SSLSocket) -> None:
        try:
            wrapped.do_handshake()
        except ssl.SSLWantReadError:
            self._reactor.watch(wrapped.fileno(), READ, lambda _mask: self._greet(wrapped))
        except OSError as error:
            self._end(f"TLS: {error.strerror or error}")
        else:
            self._opened()

    def _opened(self) -> None:
        self.is_open = True
        self._watch(READ)
        self._on_open()

    def _watch(self, events: int) -> None:
        if self.socket is not None:
            self._events = events
            handler = self._shortcut if self._shortcut and events == READ else self.ready
            self._reactor.watch(self.socket.fileno(), events, handler)

    def shorten(self, shortcut: Callable[[int], None]) -> None:
        """While there is nothing to write let ``shortcut(mask)`` see the socket's events; it calls :meth:`ready`.

        For what :meth:`ready` would do at the cost of four calls; not for TLS, whose bytes epoll cannot see.
        """
        if not self._tls:
            self._shortcut = shortcut
            self._watch(self._events)

    def ready(self, mask: int) -> None:
        """Act on what epoll says of the socket."""
        if mask & WRITE:
            self._flush()
        if mask & ~WRITE:
            self.read()

    def read(self, limit_bytes: int = READ_BYTES) -> None:
        """Take up to ``limit_bytes`` of what has arrived."""
        if self.socket is None:
            return
        try:
            chunk = self.socket.recv(limit_bytes)
        except _WANT:
            return
        except OSError as error:
            self._end(errno.errorcode.get(error.errno or 0, "connection failed"))
            return
        if chunk:
            self._on_data(chunk)
            # TLS may hold decrypted bytes that epoll knows nothing of.
            if self._tls and isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
                self.read(limit_bytes)
        else:
            self._end("closed by the server")

    def pause(self) -> None:
        """Read only when :meth:`read` is called: a slow reader."""
        self._watch(WRITE if self._unsent else 0)

    def write(self, data: bytes) -> None:
        """Send ``data``, now or as the peer reads."""
        if self.socket is None:
            return
        if self._unsent:
            self._unsent += data
            if len(self._unsent) > MAX_UNSENT_BYTES:
                self._end("the server does not read")
            return
        try:
            sent = self.socket.send(data)
        except _WANT:
            sent = 0
        except OSError as error:
            self._end(errno.errorcode.get(error.errno or 0, "connection failed"))
            return
        if sent < len(data):
            self._unsent += data[sent:]
            self._watch(self._events | WRITE)

    def _flush(self) -> None:
        if self.socket is None or not self._unsent:
            return
        try:
            sent = self.socket.send(self._unsent)
        except _WANT:
            return
        except OSError as error:
            self._end(errno.errorcode.get(error.errno or 0, "connection failed"))
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._watch(self._events & ~WRITE)

    def _end(self, reason: str) -> None:
        if self.socket is not None:
            self.close()
            self._on_end(reason)

    def close(self, *, abruptly: bool = False) -> None:
        """Close the connection; ``abruptly`` resets it, as a network that goes away does."""
        connection, self.socket, self.is_open = self.socket, None, False
        if connection is None:
            return
        self._unsent.clear()
        self._reactor.forget(connection.fileno())
        if abruptly:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()


def _context() -> ssl.SSLContext:
    if not _contexts:
        _contexts.append(ssl.create_default_context())
    return _contexts[0]

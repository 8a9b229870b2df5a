"""The connections that events can be pushed into, as a session sees them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from bayeux_server.server.delivery import Delivery, Form

if TYPE_CHECKING:
    from bayeux_server.server.session import ServerSession


class Socket(Protocol):
    """A live two-way connection that a session is bound to; see :mod:`bayeux_server.server.binding`.

    Attributes:
        browser: The cookie its opening showed or was given.
    """

    browser: str | None

    def alive(self) -> Awaitable[bool]:
        """Return whether the peer answers a ping within a second."""


class Outlet:
    """Where finished bytes may be written to, past the queue of a session that nothing waits for.

    Attributes:
        form: Makes the bytes of one event.
        write: Takes the bytes of any number of events, joined.
        is_shut: Whether it takes none now.
    """

    __slots__ = ("form", "is_shut", "write")

    def __init__(self, form: Form, write: Callable[[bytes], None], is_shut: Callable[[], bool]) -> None:
        self.form = form
        self.write = write
        self.is_shut = is_shut


class Pipe(Protocol):
    """A connection that events can be pushed into at any time: a WebSocket, or an event stream."""

    @property
    def outlet(self) -> Outlet | None:
        """Where events may be written to without :meth:`push`; None where they may not."""

    def writable(self) -> bool:
        """Whether it takes more now."""

    def wait(self, session: "ServerSession") -> None:
        """Mark the session for a flush once more can be written."""

    def push(self, deliveries: list[Delivery]) -> None:
        """Write events, and whatever replies wait for them, at once."""

    def end(self, reason: str) -> None:
        """Write what is left, then close."""

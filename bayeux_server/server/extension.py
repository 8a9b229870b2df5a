"""Extensions: code that sees messages pass, and may refuse or complete them.

Order, pinned by ``tests/unit/server/test_extension_order.py``:

* incoming: the server's extensions in the order they were added, then the session's. ``incoming_meta`` for ``/meta/*``,
  ``incoming`` for publishes.
* then the checks of the protocol, of the security policy and of the authorizers
* ``take_over``, for a publish to a broadcast channel that passed: the server's extensions in the order they were added,
  until one takes it over
* ``publishing``, for a publish that passed: the server's extensions in the order they were added
* ``outgoing_meta``, for a reply: the session's extensions, then the server's; each in reverse order, for who came in
  first goes out last
* ``outgoing``, for an event: the server's extensions in reverse order, once for each view; then the session's in
  reverse order, for that session alone

Every hook may be a plain function or a coroutine function; a plain one costs less. A hook that raises
:class:`RemoteError` refuses that one message with that error; any other exception refuses it with a 500 and is logged.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from bayeux_server.protocol.messages import Message, Publication, Publish, Reply
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.session import ServerSession
from bayeux_server.server.steps import Steps


class Extension:
    """A server extension. Override what is needed; what is not overridden costs nothing.

    ``session`` is None where a message names no living session. At a handshake it is the session to be, not registered
    yet; at a publish that names none (``POST /api/publish``) it is a stand-in, never registered, that has the
    publisher's address and, if he proved one, identity.
    """

    name = "extension"

    def incoming_meta(self, session: ServerSession | None, message: Message) -> Awaitable[None] | None:
        """See a meta message before it is processed."""

    def incoming(self, session: ServerSession | None, message: Publish) -> Awaitable[None] | None:
        """See a publish before it is authorised. ``message.data`` may be replaced by other raw JSON."""

    def take_over(self, session: ServerSession | None, message: Publish) -> Awaitable[bool] | bool:
        """See a publish that was authorised. True: the extension dealt with it, it is not published by the server."""
        return False

    def publishing(self, publication: Publication) -> Awaitable[Publication | None] | Publication | None:
        """See what was accepted, just before it goes to the broker. May return another publication to go instead."""

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> Awaitable[None] | None:
        """Complete the reply to any message, meta or publish.

        One that raises refuses the message even now: what a handshake or a subscribe did is taken back, an unsubscribe
        is not carried out, a connect's events travel all the same. A publish and a disconnect that were carried out
        stay so: the reply says that they were, and what was raised is logged.
        """

    def outgoing(self, publication: Publication, delivery: Delivery) -> Awaitable[None] | None:
        """Complete an event: once for each view of it, not for each subscriber."""

    async def start(self) -> None:
        """Called when the server starts, in the order the extensions were added."""

    async def stop(self) -> None:
        """Called when the server stops, in reverse order."""


class SessionExtension:
    """An extension of one session. Its ``outgoing`` makes deliveries to that session cost more than to others."""

    def incoming_meta(self, session: ServerSession, message: Message) -> Awaitable[None] | None:
        """See a meta message of the session."""

    def incoming(self, session: ServerSession, message: Publish) -> Awaitable[None] | None:
        """See a publish of the session."""

    def outgoing_meta(self, session: ServerSession, reply: Reply) -> None:
        """Complete a reply to the session. Must not wait."""

    def outgoing(self, session: ServerSession, delivery: Delivery) -> Delivery | None:
        """Return what the session gets: the delivery, another one, or None for nothing. Must not wait."""
        return delivery

    def cut(self, is_cut: Callable[[Delivery], bool]) -> None:
        """Forget the deliveries kept for the session that it may not see any more."""


Hook = Callable[..., Any]


class Hooks:
    """The overridden hooks of a server's extensions, in the order they run."""

    def __init__(self) -> None:
        self.extensions: list[Extension] = []
        self.incoming_meta: list[Hook] = []
        self.incoming: list[Hook] = []
        self.take_over: list[Hook] = []
        self.publishing: list[Hook] = []
        self.outgoing_meta: list[Hook] = []
        self.outgoing: list[Hook] = []
        #: Whether an outgoing hook is a coroutine function, so that fan-out has to wait for it.
        self.outgoing_waits = False

    def add(self, extension: Extension) -> None:
        """Add an extension after those already there."""
        self.extensions.append(extension)
        self._refresh()

    def remove(self, extension: Extension) -> None:
        """Remove an extension. Messages on their way are not touched."""
        self.extensions.remove(extension)
        self._refresh()

    def _refresh(self) -> None:
        forward, backward = self.extensions, self.extensions[::-1]
        self.incoming_meta = _overridden(forward, "incoming_meta")
        self.incoming = _overridden(forward, "incoming")
        self.take_over = _overridden(forward, "take_over")
        self.publishing = _overridden(forward, "publishing")
        self.outgoing_meta = _overridden(backward, "outgoing_meta")
        self.outgoing = _overridden(backward, "outgoing")
        self.outgoing_waits = any(map(inspect.iscoroutinefunction, self.outgoing))


def _overridden(extensions: Iterable[Extension], name: str) -> list[Hook]:
    return [getattr(each, name) for each in extensions if getattr(type(each), name) is not getattr(Extension, name)]


def run(hooks: Iterable[Hook], *arguments: object) -> Steps[None]:
    """Run hooks one after the other, waiting for those that want it."""
    for hook in hooks:
        result = hook(*arguments)
        if inspect.isawaitable(result):
            yield result

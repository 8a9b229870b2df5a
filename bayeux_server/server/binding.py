"""Whose session is it? The clientId alone is not enough: whoever reads it in a log would take the stream.

A session is bound to a second secret, in the way the setting asks for:

``adaptive``
    Once the client has shown the browser cookie, the session needs it. A client that never shows one is bound to its
    authenticated user where both are known, else to its live socket: while that answers a ping, nobody else gets the
    session; once it is gone, the clientId resumes it, as in the reference servers.
``strict``
    The cookie, the same socket, the same user or the resume token of the handshake; else no.
``off``
    As the reference servers: the clientId is enough.
"""

import secrets
from collections.abc import Awaitable
from typing import Any, Literal

from bayeux_server.server.origin import BROWSER_BYTES, Origin
from bayeux_server.server.pipe import Socket
from bayeux_server.server.session import ServerSession

Mode = Literal["adaptive", "strict", "off"]


class Binding:
    """Decides whether a request may use a session."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode

    def bind(self, session: ServerSession, origin: Origin) -> None:
        """Bind a new session to where its handshake came from."""
        session.browser = origin.browser
        session.offered_browser = origin.offered_browser
        if self.mode == "strict":
            session.resume_token = secrets.token_urlsafe(BROWSER_BYTES)

    def allows(self, session: ServerSession, origin: Origin, ext: dict[str, Any] | None) -> bool | Awaitable[bool]:
        """Return whether a message from ``origin`` may use ``session``; awaitable where a ping has to tell."""
        if self.mode == "off" or (origin.socket is not None and origin.socket is session.socket):
            return True
        if self.mode == "strict":
            return self._proves_itself(session, origin, ext)
        if session.browser is not None:
            return _same(session.browser, _jar(origin))
        if self._shows_what_it_was_given(session, origin):
            session.browser = origin.browser
            return True
        if session.identity is not None and origin.identity is not None:
            return session.identity.user_id == origin.identity.user_id
        return True if session.socket is None else _is_gone(session.socket)

    def _proves_itself(self, session: ServerSession, origin: Origin, ext: dict[str, Any] | None) -> bool:
        token = ext.get("resume") if ext else None
        if isinstance(token, str) and _same(session.resume_token, token):
            return True
        if session.identity is not None and origin.identity is not None:
            return session.identity.user_id == origin.identity.user_id
        return _same(session.browser or session.offered_browser, _jar(origin))

    def _shows_what_it_was_given(self, session: ServerSession, origin: Origin) -> bool:
        """Whether the request brings the cookie of the session's handshake, or of its socket's opening.

        A first visit does both at the same moment; which of the two cookies the browser keeps is chance.
        """
        given = session.socket.browser if session.socket is not None else None
        return _same(session.offered_browser, origin.browser) or _same(given, origin.browser)


def _jar(origin: Origin) -> str | None:
    """Return the cookie of the browser behind a request.

    A socket that showed none has been given one, and is its browser's as soon as another request shows that one.
    """
    return origin.browser or (origin.offered_browser if origin.socket is not None else None)


def _same(secret: str | None, shown: str | None) -> bool:
    # As bytes, because strings are compared only if they are ASCII, and a cookie is whatever a client sends.
    if secret is None or shown is None:
        return False
    return secrets.compare_digest(secret.encode(errors="surrogatepass"), shown.encode(errors="surrogatepass"))


async def _is_gone(socket: Socket) -> bool:
    return not await socket.alive()

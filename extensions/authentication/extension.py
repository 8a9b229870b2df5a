"""Who a session is: the token at its handshake, its expiry, and its refresh in place."""

from collections.abc import Awaitable
from functools import partial
from hashlib import sha256
from typing import Any, Final

import structlog

from bayeux_server.errors import Overloaded, RemoteError
from bayeux_server.protocol.messages import Connect, Handshake, Message, Publish, Reply
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.extension import Extension
from bayeux_server.server.identity import Identity
from bayeux_server.server.remote_call import RemoteCall
from bayeux_server.server.session import ServerSession
from bayeux_server.server.timers import Timer
from channels.timestamps import iso_utc_ms
from extensions.authentication.keys import Keys, KeysUnavailableError
from extensions.authentication.tokens import TokenVerifier

log = structlog.get_logger()

REFRESH_CHANNEL: Final = "/service/auth/refresh"
_ATTRIBUTE: Final = "authentication"


class _Lease:
    """What we keep of a session: its timer, and which token it was last shown."""

    __slots__ = ("fingerprint", "timer")

    def __init__(self) -> None:
        self.fingerprint = b""
        self.timer: Timer | None = None


class AuthenticationExtension(Extension):
    """Reads ``ext.auth.token`` of handshakes and connects, and of publishes that name no session.

    A handshake without a token stays anonymous (or who its ``Authorization`` header said): whether that gets in is the
    security policy's matter. A handshake with a token that is not good is refused, never let in as somebody less. A
    session ends when its token does, unless it shows a newer one of the same user before: with any connect
    (``ext.auth.token``), or with ``{"token": ...}`` on ``/service/auth/refresh``.

    Handshake and refresh are answered with ``{"user_id", "expires_at"}`` (``ext.auth``, and the call's data).
    """

    name = "authentication"

    def __init__(self, server: BayeuxServer, verifier: TokenVerifier, keys: tuple[Keys, ...]) -> None:
        self._server = server
        self._verifier = verifier
        self._keys = keys
        server.service(REFRESH_CHANNEL)(self._serve_refresh)
        server.core.sessions.on_removed.append(self._session_removed)

    async def start(self) -> None:
        """See :meth:`Extension.start`."""
        for keys in self._keys:
            await keys.start()

    async def stop(self) -> None:
        """See :meth:`Extension.stop`."""
        for keys in self._keys:
            await keys.stop()

    def unready(self) -> str | None:
        """Return why nobody can be let in now, None if somebody can."""
        reasons = [reason for keys in self._keys if (reason := keys.unready()) is not None]
        return reasons[0] if reasons and len(reasons) == len(self._keys) else None

    async def read_token(self, token: str) -> Identity:
        """Return whom a bearer token of a request names.

        Raises:
            RemoteError: 401, see :mod:`extensions.authentication.tokens`; 503 if it cannot be judged now.
        """
        try:
            return await self._verifier.verify(token, self._server.core.clock.wall())
        except KeysUnavailableError as error:
            log.info("token.refused", reason=str(error))
            raise RemoteError(503, (), "token_keys_unavailable") from error
        except RemoteError as error:
            log.info("token.refused", reason=error.text)
            raise

    async def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        """See :meth:`Extension.incoming_meta`.

        Raises:
            RemoteError: 401, see :mod:`extensions.authentication.tokens`; 403 for a token of another user.
            Overloaded: If a handshake's token cannot be judged now.
        """
        if session is None or not isinstance(message, Handshake | Connect):
            return
        token = _token_of(message.ext)
        if token is None:
            return
        if isinstance(message, Connect) and _fingerprint(token) == _lease(session).fingerprint:
            return
        try:
            await self._admit(session, token)
        except KeysUnavailableError:
            if isinstance(message, Handshake):
                # A refusal would be for good: stock clients never come back from one.
                raise Overloaded("token_keys_unavailable") from None
            raise RemoteError(503, (), "token_keys_unavailable") from None

    def incoming(self, session: ServerSession | None, message: Publish) -> Awaitable[None] | None:
        """See :meth:`Extension.incoming`. A token proves who publishes without a session, for that one message.

        Raises:
            RemoteError: 401, see :mod:`extensions.authentication.tokens`; 403 for another user than the request's;
                503 if the token cannot be judged now.
        """
        if session is None or session.is_open:
            return None
        token = _token_of(message.ext)
        return None if token is None else self._prove(session, token)

    async def _prove(self, stand_in: ServerSession, token: object) -> None:
        try:
            await self._admit(stand_in, token)
        except KeysUnavailableError:
            raise RemoteError(503, (), "token_keys_unavailable") from None

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        """Tell a new session who it is and until when, and begin to count."""
        if session is None or reply.channel != "/meta/handshake" or reply.successful is not True:
            return
        if session.identity is not None:
            self._expect_expiry(session)
            reply.extend("auth", _told(session.identity))

    async def _serve_refresh(self, call: RemoteCall) -> object:
        token = call.data.get("token") if isinstance(call.data, dict) else None
        if not isinstance(token, str):
            raise RemoteError(402, ["token"], "token_missing")
        try:
            return _told(await self._admit(call.session, token))
        except KeysUnavailableError:
            raise RemoteError(503, (), "token_keys_unavailable") from None

    async def _admit(self, session: ServerSession, token: object) -> Identity:
        identity = await self._verifier.verify(token, self._server.core.clock.wall())
        known = session.identity
        if known is not None and known.user_id != identity.user_id:
            # Everything the session subscribed to was decided for the user it was.
            raise RemoteError(403, (), "token_of_another_user")
        if known is None and session.is_open:
            raise RemoteError(403, (), "session_is_anonymous")
        session.identity = identity
        _lease(session).fingerprint = _fingerprint(token)
        if session.is_open:
            self._expect_expiry(session)
            log.info("token.refreshed", session=session.short_id)
        return identity

    # ---- expiry

    def _expect_expiry(self, session: ServerSession) -> None:
        self._cancel_timer(session)
        identity = session.identity
        if identity is not None and identity.expires_at_s is not None:
            clock = self._server.core.clock
            due_s = clock.now() + max(0.0, identity.expires_at_s - clock.wall())
            _lease(session).timer = self._server.core.timers.call_at(due_s, partial(self._expire, session))

    def _expire(self, session: ServerSession) -> None:
        log.info("token.expired", session=session.short_id)
        self._server.disconnect(session, "token_expired")

    def _session_removed(self, session: ServerSession, _reason: str) -> None:
        self._cancel_timer(session)

    def _cancel_timer(self, session: ServerSession) -> None:
        lease: _Lease | None = session.attributes.get(_ATTRIBUTE)
        if lease is not None and lease.timer is not None:
            lease.timer.cancel()


def _lease(session: ServerSession) -> _Lease:
    lease: _Lease = session.attributes.setdefault(_ATTRIBUTE, _Lease())
    return lease


def _token_of(ext: dict[str, Any] | None) -> object | None:
    auth = (ext or {}).get("auth")
    return auth.get("token") if isinstance(auth, dict) else auth


def _fingerprint(token: object) -> bytes:
    return sha256(str(token).encode(errors="replace")).digest()


def _told(identity: Identity) -> dict[str, object]:
    expires_at = None if identity.expires_at_s is None else iso_utc_ms(identity.expires_at_s)
    return {"user_id": identity.user_id, "expires_at": expires_at}

"""An issuer's published keys (RFC 7517), fetched without ever blocking the event loop and kept through its outages."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import jwt
import msgspec
import structlog

from bayeux_server.errors import LocalError
from extensions.authentication.keys import KeysUnavailableError

log = structlog.get_logger()

_LARGEST_DOCUMENT_BYTES: Final = 256 * 1024
_MOST_KEYS: Final = 100
#: Without keys nobody gets in, so that the issuer is asked more often.
_PAUSE_WITHOUT_KEYS_S: Final = 2.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


class JwksKeys:
    """The keys at a JWKS URL.

    Keys older than ``ttl_s`` are refreshed in the background and used meanwhile. A key id that is not among them has
    them fetched at once, but not more often than every ``cooldown_s``: made-up key ids cost the issuer nothing. However
    many ask, one request is under way. While the issuer cannot be reached, the keys last seen stay good for
    ``max_stale_s``.

    Args:
        url: https, or http on loopback.
        now: The clock, seconds that never go back.
        timeout_s: How long one fetch may take.
    """

    def __init__(
        self,
        url: str,
        now: Callable[[], float],
        *,
        ttl_s: float = 300.0,
        cooldown_s: float = 30.0,
        max_stale_s: float = 86_400.0,
        timeout_s: float = 5.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise LocalError("authentication: jwks_url must be https, or http on loopback")
        self._url = url
        self._now = now
        self._ttl_s = ttl_s
        self._cooldown_s = cooldown_s
        self._max_stale_s = max_stale_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._keys: Mapping[str, Mapping[str, Any]] = {}
        self._etag: str | None = None
        self._seen_s: float | None = None
        self._tried_s: float | None = None
        self._http: aiohttp.ClientSession | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See :meth:`Keys.start`. The first fetch goes on in the background."""
        self._http = aiohttp.ClientSession(timeout=self._timeout)
        self._fetch_soon()

    async def stop(self) -> None:
        """See :meth:`Keys.stop`."""
        if self._fetching is not None:
            self._fetching.cancel()
            with suppress(asyncio.CancelledError):
                await self._fetching
        if self._http is not None:
            await self._http.close()

    def unready(self) -> str | None:
        """See :meth:`Keys.unready`."""
        return None if self._usable() else "no keys of the token issuer"

    async def find(self, kid: str | None, algorithm: str) -> object | None:
        """See :meth:`Keys.find`."""
        if self._is_due(self._seen_s, self._ttl_s):
            self._fetch_soon()
        key = self._known(kid, algorithm)
        if key is None and (fetching := self._fetch_soon()) is not None:
            # Shielded: one impatient asker must not cancel the fetch for the others.
            await asyncio.shield(fetching)
            key = self._known(kid, algorithm)
        if key is None and not self._usable():
            raise KeysUnavailableError("no keys of the token issuer")
        return key

    # ---- what is known

    def _usable(self) -> bool:
        return bool(self._keys) and not self._is_due(self._seen_s, self._max_stale_s)

    def _known(self, kid: str | None, algorithm: str) -> object | None:
        if not self._usable():
            return None
        if kid is not None:
            return _material(self._keys[kid], algorithm) if kid in self._keys else None
        fitting = [key for key in (_material(each, algorithm) for each in self._keys.values()) if key is not None]
        return fitting[0] if len(fitting) == 1 else None

    def _is_due(self, since_s: float | None, after_s: float) -> bool:
        return since_s is None or self._now() - since_s >= after_s

    # ---- fetching

    def _fetch_soon(self) -> asyncio.Task[None] | None:
        """Return the fetch under way, begun now if the last one is long enough ago; None if it is not."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        pause_s = self._cooldown_s if self._usable() else min(self._cooldown_s, _PAUSE_WITHOUT_KEYS_S)
        if self._http is None or not self._is_due(self._tried_s, pause_s):
            return None
        self._tried_s = self._now()
        self._fetching = asyncio.create_task(self._fetch(self._http), name="jwks")
        return self._fetching

    async def _fetch(self, http: aiohttp.ClientSession) -> None:
        headers = {"If-None-Match": self._etag} if self._etag and self._keys else {}
        try:
            # A redirect could lead to keys that are not the issuer's.
            async with http.get(self._url, headers=headers, allow_redirects=False) as response:
                if response.status != 304:
                    response.raise_for_status()
                    self._keys = _read_keys(await _read_body(response))
                    self._etag = response.headers.get("ETag")
                self._seen_s = self._now()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, msgspec.MsgspecError) as error:
            log.warning("jwks.fetch_failed", error=type(error).__name__, has_keys=bool(self._keys))


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    if response.status != 200:
        raise ValueError("neither 200 nor 304")
    body = await response.content.read(_LARGEST_DOCUMENT_BYTES + 1)
    while not response.content.at_eof() and len(body) <= _LARGEST_DOCUMENT_BYTES:
        body += await response.content.read(_LARGEST_DOCUMENT_BYTES + 1 - len(body))
    if len(body) > _LARGEST_DOCUMENT_BYTES:
        raise ValueError("too large")
    return body


def _read_keys(body: bytes) -> dict[str, Mapping[str, Any]]:
    """Return the public signature keys of a key set by key id. Others, also secrets put there by mistake, are left out.

    Raises:
        ValueError: If it is no key set, or has no such key (a broken deployment must not lock everybody out).
    """
    found = msgspec.json.decode(body, type=_KeySet).keys[:_MOST_KEYS]
    usable: dict[str, Mapping[str, Any]] = {
        kid: key
        for number, key in enumerate(found)
        if key.get("kty") in ("RSA", "EC", "OKP")
        and key.get("use", "sig") == "sig"
        and isinstance(kid := key.get("kid", f"#{number}"), str)
    }
    if not usable:
        raise ValueError("no usable key")
    return usable


def _material(key: Mapping[str, Any], algorithm: str) -> object | None:
    """Return a key for ``algorithm``; None if it is for another one."""
    if key.get("alg", algorithm) != algorithm:
        return None
    try:
        material: object = jwt.PyJWK(dict(key), algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return material

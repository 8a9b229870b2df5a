"""Where verification keys come from."""

from typing import Protocol

from bayeux_server.errors import BayeuxError, LocalError
from extensions.authentication.issuers import Issuer, load_key


class KeysUnavailableError(BayeuxError):
    """The issuer's keys were never seen and cannot be fetched now: a token cannot be judged, one way or the other."""


class Keys(Protocol):
    """The keys of one issuer."""

    async def find(self, kid: str | None, algorithm: str) -> object | None:
        """Return the key that a token names, as PyJWT wants it for ``algorithm``; None if there is none.

        A token that names none gets the only key there is, if there is only one.

        Raises:
            KeysUnavailableError: If that cannot be known now.
        """

    async def start(self) -> None:
        """Make ready. Never fails: an issuer may be down when we start."""

    async def stop(self) -> None:
        """Release what is held."""

    def unready(self) -> str | None:
        """Return why no token can be judged now, None if some can."""


class ConfiguredKeys:
    """Keys from the configuration.

    Raises:
        LocalError: If one cannot be read, or fits none of the issuer's algorithms.
    """

    def __init__(self, issuer: Issuer) -> None:
        self._keys: dict[tuple[str, str], object] = {}
        for key in issuer.keys:
            loaded = {(key.kid, algorithm): load_key(key, algorithm) for algorithm in issuer.algorithms}
            fitting = {name: material for name, material in loaded.items() if material is not None}
            if not fitting:
                raise LocalError(f"authentication: key {key.kid!r} fits none of the algorithms of {issuer.issuer}")
            self._keys |= fitting

    async def find(self, kid: str | None, algorithm: str) -> object | None:
        """See :meth:`Keys.find`."""
        if kid is not None:
            return self._keys.get((kid, algorithm))
        fitting = [key for (_, name), key in self._keys.items() if name == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    async def start(self) -> None:
        """See :meth:`Keys.start`."""

    async def stop(self) -> None:
        """See :meth:`Keys.stop`."""

    def unready(self) -> str | None:
        """See :meth:`Keys.unready`: the configuration is always there."""
        return None

"""Who may issue tokens for us, and what their tokens may say."""

import os
from pathlib import Path
from typing import Annotated, Final

import jwt
from msgspec import Meta, Struct

from bayeux_server.errors import LocalError

#: Never "none"; one family to an issuer, so that a public key is never taken for an HMAC secret.
SYMMETRIC: Final = frozenset({"HS256", "HS384", "HS512"})
ASYMMETRIC: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
#: RFC 7518 3.2: an HMAC key is at least as long as the hash.
_SHORTEST_SECRET_BYTES: Final = 32


class ConfiguredKey(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key of ``[[extensions.authentication.issuers.keys]]``: exactly one of the three sources.

    Attributes:
        kid: The key id that tokens name; "" for tokens that name none.
        pem_file: File with a public key or certificate's key, PEM.
        pem: The same, inline.
        secret_env: Environment variable with an HMAC secret. Secrets do not stand in the file.
    """

    kid: str = ""
    pem_file: str | None = None
    pem: str | None = None
    secret_env: str | None = None


class Issuer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of ``[[extensions.authentication.issuers]]``.

    Attributes:
        issuer: What ``iss`` must be, to the letter.
        audiences: ``aud`` must name one of them.
        algorithms: What may sign. All of one family, HMAC or public key.
        keys: Keys that are known beforehand.
        jwks_url: Where the issuer publishes its keys; https, or http on loopback.
        leeway_s: How far our clock and the issuer's may differ, seconds.
        user_prefix: Put before ``sub`` to make the user id, so that two issuers never name the same user.
        roles_claim: The claim with the roles, a list or words with spaces between.
        roles: The roles that this issuer may give. ``system`` must be given in words.
    """

    issuer: Annotated[str, Meta(min_length=1)]
    audiences: Annotated[tuple[str, ...], Meta(min_length=1)]
    algorithms: Annotated[tuple[str, ...], Meta(min_length=1)] = ("RS256",)
    keys: tuple[ConfiguredKey, ...] = ()
    jwks_url: str | None = None
    leeway_s: Annotated[float, Meta(ge=0, le=300)] = 30.0
    user_prefix: str = ""
    roles_claim: str = "roles"
    roles: tuple[str, ...] = ("care_coordinator", "clinician", "rsa")


def check_issuers(issuers: tuple[Issuer, ...]) -> None:
    """Refuse issuers that could be taken for each other, or whose keys could be taken for something else.

    Raises:
        LocalError: Naming the issuer and the key.
    """
    if len({each.issuer for each in issuers}) < len(issuers):
        raise LocalError("authentication: two issuers have the same name")
    if len(issuers) > 1 and len({each.user_prefix for each in issuers}) < len(issuers):
        raise LocalError("authentication: with several issuers, each needs a user_prefix of its own")
    for issuer in issuers:
        _check_issuer(issuer)


def _check_issuer(issuer: Issuer) -> None:
    algorithms = set(issuer.algorithms)
    if not (algorithms <= SYMMETRIC or algorithms <= ASYMMETRIC):
        known = ", ".join(sorted(SYMMETRIC | ASYMMETRIC))
        raise LocalError(f"authentication: algorithms of {issuer.issuer}: of one family, HMAC or public key: {known}")
    if not issuer.keys and issuer.jwks_url is None:
        raise LocalError(f"authentication: {issuer.issuer} has neither keys nor a jwks_url")
    if issuer.jwks_url is not None and algorithms <= SYMMETRIC:
        raise LocalError(f"authentication: {issuer.issuer}: HMAC secrets are not published at a jwks_url")


def load_key(key: ConfiguredKey, algorithm: str) -> object | None:
    """Return a configured key as PyJWT wants it for ``algorithm``; None if it is a key of another kind.

    Raises:
        LocalError: If there is not exactly one source, or the source cannot be read.
    """
    sources = [source for source in (key.pem_file, key.pem, key.secret_env) if source is not None]
    if len(sources) != 1:
        raise LocalError(f"authentication: key {key.kid!r} needs one of pem_file, pem, secret_env")
    if (key.secret_env is not None) != (algorithm in SYMMETRIC):
        return None
    material = _secret(key.secret_env) if key.secret_env is not None else _pem(key)
    try:
        loaded: object = jwt.get_algorithm_by_name(algorithm).prepare_key(material)
    except (jwt.InvalidKeyError, ValueError, TypeError):
        return None
    return loaded


def _secret(variable: str) -> str:
    secret = os.environ.get(variable, "")
    if len(secret.encode()) < _SHORTEST_SECRET_BYTES:
        raise LocalError(f"authentication: {variable} must hold at least {_SHORTEST_SECRET_BYTES} bytes")
    return secret


def _pem(key: ConfiguredKey) -> str:
    if key.pem is not None:
        return key.pem
    try:
        return Path(str(key.pem_file)).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise LocalError(f"authentication: pem_file of key {key.kid!r} cannot be read") from error

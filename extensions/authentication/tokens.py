"""Judges a token: signature, issuer, audience, times, claims, in that order of trust.

Every refusal is a 401 with its own text:

=============================  =============================================================================
``token_malformed``            not a JWT, too long, or with header fields we must not ignore (``crit``)
``token_algorithm_refused``    ``alg`` is ``none``, or not one the issuer may use
``token_issuer_unknown``       ``iss`` is nobody we trust
``token_key_unknown``          no key of the issuer has that id
``token_signature_invalid``    signed with another key, or changed
``token_audience_wrong``       meant for another service
``token_expired``              ``exp`` is over
``token_not_yet_valid``        ``nbf`` or ``iat`` is in the future
``token_claim_missing``        no ``exp``, no ``sub``, or not of the right type; the argument names the claim
=============================  =============================================================================
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import jwt
from jwt.exceptions import InvalidSubjectError
from jwt.types import Options

from bayeux_server.errors import RemoteError
from bayeux_server.server.identity import Identity
from extensions.authentication.issuers import Issuer
from extensions.authentication.keys import Keys

_LONGEST_TOKEN: Final = 8_192
_LONGEST_USER_ID: Final = 200
#: Tokens whose proof is remembered, the latest: of the people at work on one node, each with two or three.
_MOST_PROOFS: Final = 4_096
_LAST_MOMENT_S: Final = 253_402_300_800  # the year 10000
#: What of a token is kept with the session: how others see the user.
_KEPT_CLAIMS: Final = ("name", "user_name", "picture", "avatar_url")
#: The times are checked against our own clock, which tests can turn; everything else is PyJWT's.
_OPTIONS: Final[Options] = {"require": ["exp", "sub"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}


class TrustedIssuer(NamedTuple):
    """An issuer and where its keys are."""

    issuer: Issuer
    keys: Sequence[Keys]


class _Proof(NamedTuple):
    """What a token proved, and with which key. How long it is good for is asked again each time."""

    trusted: TrustedIssuer
    kid: str | None
    algorithm: str
    key: object
    claims: Mapping[str, Any]

    async def still_holds(self) -> bool:
        """Whether the issuer's key of that name is the one that proved it."""
        return await _find(self.trusted.keys, self.kid, self.algorithm) == self.key


class TokenVerifier:
    """Reads tokens of the issuers it trusts.

    A client sends the same token with each of its requests: one that proved itself is remembered by its fingerprint,
    and its signature is not checked again for as long as the issuer keeps the key.
    """

    def __init__(self, trusted: Sequence[TrustedIssuer]) -> None:
        self._trusted = {each.issuer.issuer: each for each in trusted}
        self._proofs: dict[bytes, _Proof] = {}

    async def verify(self, token: object, wall_s: float) -> Identity:
        """Return whom a token names.

        Args:
            token: As it came; anything but a string is refused.
            wall_s: Now, epoch seconds.

        Raises:
            RemoteError: 401, see above.
            KeysUnavailableError: If the issuer's keys are not at hand: the token may be good.
        """
        if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
            raise _refused("token_malformed")
        fingerprint = sha256(token.encode(errors="surrogatepass")).digest()
        proof = self._proofs.get(fingerprint)
        if proof is None or not await proof.still_holds():
            proof = await self._prove(token)
            self._remember(fingerprint, proof)
        return _identity(proof.claims, proof.trusted.issuer, wall_s)

    async def _prove(self, token: str) -> _Proof:
        header, unproven = _parts(token)
        trusted = self._trusted.get(str(unproven.get("iss")))
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm is None or str(algorithm).lower() == "none":
            raise _refused("token_algorithm_refused")
        if trusted is None:
            raise _refused("token_issuer_unknown")
        issuer = trusted.issuer
        if algorithm not in issuer.algorithms:
            raise _refused("token_algorithm_refused")
        key = await _find(trusted.keys, kid, algorithm)
        if key is None:
            raise _refused("token_key_unknown")
        return _Proof(trusted, kid, algorithm, key, _proven(token, key, algorithm, issuer))

    def _remember(self, fingerprint: bytes, proof: _Proof) -> None:
        self._proofs.pop(fingerprint, None)
        if len(self._proofs) >= _MOST_PROOFS:
            del self._proofs[next(iter(self._proofs))]
        self._proofs[fingerprint] = proof


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims, not to be believed yet."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _refused("token_malformed") from None
    header = parts["header"]
    if "crit" in header or not isinstance(header.get("kid", ""), str):
        raise _refused("token_malformed")
    return header, parts["payload"]


async def _find(sources: Sequence[Keys], kid: str | None, algorithm: str) -> object | None:
    for source in sources:
        key = await source.find(kid, algorithm)
        if key is not None:
            return key
    return None


def _proven(token: str, key: object, algorithm: str, issuer: Issuer) -> Mapping[str, Any]:
    try:
        return jwt.decode(
            token,
            key,  # type: ignore[arg-type]  # PyJWT prepared it for this very algorithm
            algorithms=[algorithm],
            audience=issuer.audiences,
            issuer=issuer.issuer,
            options=_OPTIONS,
        )
    except jwt.MissingRequiredClaimError as error:
        raise _refused("token_claim_missing", error.claim) from None
    except jwt.InvalidAudienceError:
        raise _refused("token_audience_wrong") from None
    except jwt.InvalidIssuerError:
        raise _refused("token_issuer_unknown") from None
    except InvalidSubjectError:
        raise _refused("token_claim_missing", "sub") from None
    except jwt.InvalidSignatureError:
        raise _refused("token_signature_invalid") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise _refused("token_malformed") from None


def _identity(claims: Mapping[str, Any], issuer: Issuer, wall_s: float) -> Identity:
    expires_at_s = _moment(claims, "exp")
    if expires_at_s is None:
        raise _refused("token_claim_missing", "exp")
    if expires_at_s + issuer.leeway_s <= wall_s:
        raise _refused("token_expired")
    for name in ("nbf", "iat"):
        moment = _moment(claims, name)
        if moment is not None and moment - issuer.leeway_s > wall_s:
            raise _refused("token_not_yet_valid")
    subject = claims["sub"]
    if not subject or len(subject) > _LONGEST_USER_ID:
        raise _refused("token_claim_missing", "sub")
    return Identity(
        issuer.user_prefix + subject,
        _roles(claims.get(issuer.roles_claim), issuer),
        expires_at_s + issuer.leeway_s,
        {name: claims[name] for name in _KEPT_CLAIMS if isinstance(claims.get(name), str)},
    )


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate (RFC 7519 2); None if there is none. Infinity and NaN are no moments."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LAST_MOMENT_S:
        raise _refused("token_claim_missing", name)
    return float(value)


def _roles(claim: object, issuer: Issuer) -> frozenset[str]:
    named = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(role for role in issuer.roles if role in named)


def _refused(text: str, *arguments: str) -> RemoteError:
    return RemoteError(401, arguments, text)

"""Token issuers for tests: real keys, real signatures."""

from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.manual_clock import START_WALL_S

ISSUER = "https://id.example"
AUDIENCE = "care-app"


class SigningKey:
    """A key pair with an id."""

    def __init__(self, kid: str, algorithm: str = "RS256") -> None:
        self.kid = kid
        self.algorithm = algorithm
        self._private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        )

    @property
    def pem(self) -> str:
        """The public key, PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as a member of a JWKS."""
        public = self._private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            document = RSAAlgorithm.to_jwk(public, as_dict=True)
        else:
            document = ECAlgorithm.to_jwk(public, as_dict=True)
        return {**document, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Return a token with these claims."""
        return jwt.encode(claims, self._private, algorithm=self.algorithm, headers={"kid": self.kid, **header})

    def token(self, user_id: str = "cc_456", *, lives_s: float = 600.0, **claims: Any) -> str:
        """Return a good token, with ``claims`` over what is usual; one that is None is left out."""
        usual = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "iat": START_WALL_S,
            "exp": START_WALL_S + lives_s,
            "roles": ["care_coordinator"],
        }
        return self.sign({name: value for name, value in {**usual, **claims}.items() if value is not None})

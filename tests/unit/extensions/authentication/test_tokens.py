"""Judging tokens: each way to be wrong has its own text, and none gets in."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from bayeux_server.errors import LocalError, RemoteError
from extensions.authentication import tokens
from extensions.authentication.issuers import ConfiguredKey, Issuer, check_issuers, load_key
from extensions.authentication.keys import ConfiguredKeys
from extensions.authentication.tokens import TokenVerifier, TrustedIssuer, _proven
from tests.support.manual_clock import START_WALL_S
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey

RSA = SigningKey("k1")
OTHER = SigningKey("k1")
EC = SigningKey("k2", "ES256")
SECRET = "s" * 32


def _issuer(**fields: Any) -> Issuer:
    keys = (ConfiguredKey(kid="k1", pem=RSA.pem), ConfiguredKey(kid="k2", pem=EC.pem))
    usual: dict[str, Any] = {
        "issuer": ISSUER,
        "audiences": (AUDIENCE, "care-web"),
        "algorithms": ("RS256", "ES256"),
        "keys": keys,
    }
    return Issuer(**{**usual, **fields})


def _verifier(*issuers: Issuer) -> TokenVerifier:
    check_issuers(issuers)
    return TokenVerifier([TrustedIssuer(issuer, [ConfiguredKeys(issuer)]) for issuer in issuers])


async def _refusal(token: object, verifier: TokenVerifier | None = None, *, wall_s: float = START_WALL_S) -> str:
    with pytest.raises(RemoteError) as caught:
        await (verifier or _verifier(_issuer())).verify(token, wall_s)
    return str(caught.value)


def _with(claim: str, value: object) -> str:
    changed: dict[str, Any] = {claim: value}
    return RSA.token(**changed)


class TestGoodTokens:
    @pytest.mark.parametrize("key", [RSA, EC], ids=["RS256", "ES256"])
    async def test_subject_roles_and_expiry_are_read(self, key: SigningKey) -> None:
        token = key.token("cc_456", lives_s=600, name="Sarah Johnson", roles=["care_coordinator", "janitor"])
        identity = await _verifier(_issuer()).verify(token, START_WALL_S)
        assert identity.user_id == "cc_456"
        assert identity.roles == {"care_coordinator"}
        assert identity.claims == {"name": "Sarah Johnson"}
        assert identity.expires_at_s == START_WALL_S + 600 + 30

    async def test_roles_may_be_words_in_another_claim(self) -> None:
        verifier = _verifier(_issuer(roles_claim="scope", roles=("rsa", "system")))
        identity = await verifier.verify(RSA.token(scope="openid rsa system"), START_WALL_S)
        assert identity.roles == {"rsa", "system"}

    async def test_nobody_becomes_system_unless_the_issuer_may_say_so(self) -> None:
        identity = await _verifier(_issuer()).verify(RSA.token(roles=["system"]), START_WALL_S)
        assert identity.roles == frozenset()

    async def test_one_of_several_audiences_is_enough(self) -> None:
        await _verifier(_issuer()).verify(RSA.token(aud=["billing", "care-web"]), START_WALL_S)

    async def test_a_token_may_be_a_little_late(self) -> None:
        await _verifier(_issuer()).verify(RSA.token(lives_s=-29), START_WALL_S)

    async def test_users_of_two_issuers_are_told_apart(self) -> None:
        second = _issuer(issuer="https://partner.example", user_prefix="partner:")
        identity = await _verifier(_issuer(), second).verify(RSA.token(iss="https://partner.example"), START_WALL_S)
        assert identity.user_id == "partner:cc_456"

    async def test_an_hmac_secret_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CARE_SECRET", SECRET)
        verifier = _verifier(_issuer(algorithms=("HS256",), keys=(ConfiguredKey(secret_env="CARE_SECRET"),)))
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u", "exp": START_WALL_S + 1}
        assert (await verifier.verify(jwt.encode(claims, SECRET, "HS256"), START_WALL_S)).user_id == "u"


class Rotating:
    """Keys of which a test takes one away, or puts another in its place."""

    def __init__(self, key: SigningKey) -> None:
        self.issuer = _issuer(keys=())
        self.key: SigningKey | None = key

    async def find(self, _kid: str | None, algorithm: str) -> object | None:
        return self.key and load_key(ConfiguredKey(pem=self.key.pem), algorithm)

    async def start(self) -> None:
        """There is nothing to make ready."""

    async def stop(self) -> None:
        """There is nothing to release."""

    def unready(self) -> str | None:
        return None


class TestProofs:
    """A token that comes again is known, and judged all the same."""

    async def test_it_expires_all_the_same(self) -> None:
        verifier, token = _verifier(_issuer()), RSA.token(lives_s=600)
        await verifier.verify(token, START_WALL_S)
        await verifier.verify(token, START_WALL_S + 629)
        assert await _refusal(token, verifier, wall_s=START_WALL_S + 630) == "401::token_expired"

    async def test_it_falls_with_its_key(self) -> None:
        keys, token = Rotating(RSA), RSA.token()
        verifier = TokenVerifier([TrustedIssuer(keys.issuer, [keys])])
        await verifier.verify(token, START_WALL_S)
        keys.key = OTHER
        assert await _refusal(token, verifier) == "401::token_signature_invalid"
        keys.key = None
        assert await _refusal(token, verifier) == "401::token_key_unknown"
        keys.key = RSA
        await verifier.verify(token, START_WALL_S)

    async def test_it_proves_no_other(self) -> None:
        verifier, token = _verifier(_issuer()), RSA.token()
        await verifier.verify(token, START_WALL_S)
        head, body, signature = token.split(".")
        forged = f"{head}.{body}.{OTHER.token().rpartition('.')[2]}"
        assert await _refusal(forged, verifier) == "401::token_signature_invalid"
        assert await _refusal(f"{head}.{body}.{signature}\ud800", verifier) == "401::token_malformed"

    async def test_its_signature_is_checked_once_until_many_others_came(self, monkeypatch: pytest.MonkeyPatch) -> None:
        checked: list[str] = []

        def proven(token: str, *rest: Any) -> Mapping[str, Any]:
            checked.append(token)
            return _proven(token, *rest)

        monkeypatch.setattr(tokens, "_proven", proven)
        monkeypatch.setattr(tokens, "_MOST_PROOFS", 2)
        verifier = _verifier(_issuer())
        first, second, third = (RSA.token(f"cc_{number}") for number in range(3))
        for token in (first, first, second, first, third, first):
            await verifier.verify(token, START_WALL_S)
        assert checked == [first, second, third, first]


class TestRefusals:
    async def test_alg_none(self) -> None:
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u", "exp": START_WALL_S + 1}
        assert await _refusal(jwt.encode(claims, "", "none")) == "401::token_algorithm_refused"

    async def test_an_algorithm_the_issuer_may_not_use(self) -> None:
        verifier = _verifier(_issuer(algorithms=("ES256",), keys=(ConfiguredKey(kid="k2", pem=EC.pem),)))
        assert await _refusal(RSA.token(), verifier) == "401::token_algorithm_refused"

    async def test_the_public_key_taken_for_an_hmac_secret(self) -> None:
        head, body = (
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
            for part in ({"alg": "HS256", "kid": "k1"}, {"iss": ISSUER, "aud": AUDIENCE, "sub": "u", "exp": 9e9})
        )
        algorithm = jwt.get_algorithm_by_name("HS256")
        signature = base64.urlsafe_b64encode(algorithm.sign(head + b"." + body, RSA.pem.encode())).rstrip(b"=")
        assert await _refusal((head + b"." + body + b"." + signature).decode()) == "401::token_algorithm_refused"

    async def test_a_foreign_issuer(self) -> None:
        assert await _refusal(RSA.token(iss="https://evil.example")) == "401::token_issuer_unknown"
        assert await _refusal(RSA.token(iss=None)) == "401::token_issuer_unknown"

    async def test_an_unknown_key(self) -> None:
        assert await _refusal(SigningKey("k9").token()) == "401::token_key_unknown"

    async def test_a_key_of_another_kind_under_a_known_id(self) -> None:
        assert await _refusal(EC.sign({"iss": ISSUER}, kid="k1")) == "401::token_key_unknown"

    async def test_a_signature_by_another_key_or_over_other_claims(self) -> None:
        assert await _refusal(OTHER.token()) == "401::token_signature_invalid"
        head, _, signature = RSA.token().split(".")
        _, body, _ = RSA.token("admin").split(".")
        assert await _refusal(f"{head}.{body}.{signature}") == "401::token_signature_invalid"

    @pytest.mark.parametrize("audience", ["billing", ["billing", "x"], None])
    async def test_a_wrong_audience(self, audience: object) -> None:
        text = "token_claim_missing" if audience is None else "token_audience_wrong"
        argument = "aud" if audience is None else ""
        assert await _refusal(RSA.token(aud=audience)) == f"401:{argument}:{text}"

    async def test_an_expired_token(self) -> None:
        assert await _refusal(RSA.token(lives_s=-31)) == "401::token_expired"

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    async def test_a_token_of_the_future(self, claim: str) -> None:
        assert await _refusal(_with(claim, START_WALL_S + 31)) == "401::token_not_yet_valid"

    @pytest.mark.parametrize("claim", ["exp", "sub"])
    async def test_a_required_claim_that_is_not_there(self, claim: str) -> None:
        assert await _refusal(_with(claim, None)) == f"401:{claim}:token_claim_missing"

    @pytest.mark.parametrize(
        ("claim", "value"),
        [("exp", "tomorrow"), ("exp", True), ("exp", 1e300), ("exp", [1]), ("sub", 5), ("sub", ""), ("sub", "x" * 201)],
    )
    async def test_a_required_claim_of_the_wrong_form(self, claim: str, value: object) -> None:
        assert await _refusal(_with(claim, value)) == f"401:{claim}:token_claim_missing"

    @pytest.mark.parametrize("token", [None, 5, "", "a", "a.b.c", "x" * 9_000, "e30.e30.", "\ud800.x.y", "é.é.é"])
    async def test_what_is_no_token(self, token: object) -> None:
        assert await _refusal(token) in ("401::token_malformed", "401::token_algorithm_refused")

    async def test_header_fields_that_must_not_be_ignored(self) -> None:
        assert await _refusal(RSA.sign({"iss": ISSUER}, crit=["b64"], b64=True)) == "401::token_malformed"


class TestConfiguration:
    @pytest.mark.parametrize(
        "fields",
        [
            {"algorithms": ("RS256", "HS256")},
            {"algorithms": ("none",)},
            {"keys": ()},
            {"algorithms": ("HS256",), "jwks_url": "https://id.example/jwks"},
        ],
    )
    def test_issuers_that_cannot_be_safe_are_refused(self, fields: dict[str, Any]) -> None:
        with pytest.raises(LocalError, match="authentication"):
            check_issuers((_issuer(**fields),))

    def test_two_issuers_need_names_and_prefixes_of_their_own(self) -> None:
        with pytest.raises(LocalError, match="same name"):
            check_issuers((_issuer(), _issuer()))
        with pytest.raises(LocalError, match="user_prefix"):
            check_issuers((_issuer(), _issuer(issuer="https://other.example")))

    @pytest.mark.parametrize(
        "key",
        [
            ConfiguredKey(kid="k"),
            ConfiguredKey(kid="k", pem=RSA.pem, secret_env="X"),
            ConfiguredKey(kid="k", pem_file="/nowhere/key.pem"),
            ConfiguredKey(kid="k", pem="no key"),
            ConfiguredKey(kid="k", secret_env="PATH"),
        ],
    )
    def test_keys_that_cannot_be_used_are_refused_at_start(self, key: ConfiguredKey) -> None:
        with pytest.raises(LocalError, match="authentication"):
            ConfiguredKeys(_issuer(keys=(key,)))

    def test_a_short_secret_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CARE_SECRET", "short")
        with pytest.raises(LocalError, match="32 bytes"):
            ConfiguredKeys(_issuer(algorithms=("HS256",), keys=(ConfiguredKey(secret_env="CARE_SECRET"),)))

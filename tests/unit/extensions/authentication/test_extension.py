"""Tokens over the wire: handshake, expiry, refresh in place."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.messages import Publish
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from extensions.authentication.extension import AuthenticationExtension
from extensions.authentication.issuers import ConfiguredKey, Issuer
from extensions.authentication.keys import ConfiguredKeys, Keys, KeysUnavailableError
from extensions.authentication.tokens import TokenVerifier, TrustedIssuer
from tests.support.manual_clock import ManualClock
from tests.support.server import LocalServer, local_server
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey

KEY = SigningKey("k1")
TRUSTED = Issuer(issuer=ISSUER, audiences=(AUDIENCE,), keys=(ConfiguredKey(kid="k1", pem=KEY.pem),), leeway_s=0)


class NoKeys:
    """An issuer that was never reached."""

    async def find(self, kid: str | None, algorithm: str) -> object | None:
        """See :meth:`Keys.find`."""
        raise KeysUnavailableError("never seen")

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    def unready(self) -> str | None:
        """See :meth:`Keys.unready`."""
        return "no keys"


class Rig:
    """A server that reads tokens, and a client that speaks plain long-polling."""

    def __init__(self, server: LocalServer, extension: AuthenticationExtension, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.extension = extension
        self._http = http

    async def send(self, *messages: dict[str, Any], token: str | None = None) -> list[dict[str, Any]]:
        """Post messages and return the replies."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._http.post(self.server.url, json=list(messages), headers=headers) as response:
            if response.status != 200:
                return [{"status": response.status}]
            replies: list[dict[str, Any]] = await response.json()
            return replies

    async def handshake(self, token: object = None, *, header: str | None = None) -> dict[str, Any]:
        """Shake hands, with ``ext.auth.token`` if there is one."""
        message: dict[str, Any] = {
            "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]
        }  # fmt: skip
        if token is not None:
            message["ext"] = {"auth": {"token": token}}
        return (await self.send(message, token=header))[0]

    async def connect(self, client_id: str, **ext: object) -> dict[str, Any]:
        """Connect once, without being held."""
        message: dict[str, Any] = {"channel": "/meta/connect", "clientId": client_id, "advice": {"timeout": 0}}
        message["connectionType"] = "long-polling"
        return (await self.send({**message, "ext": ext} if ext else message))[-1]


class _Refusing(Extension):
    def incoming(self, session: ServerSession | None, message: Publish) -> None:
        if message.channel.name == "/a":
            raise RemoteError(403, (), "no")


def _publish(token: str | None = None) -> dict[str, Any]:
    return {"channel": "/a", "data": 1, **({"ext": {"auth": {"token": token}}} if token else {})}


async def _rig(keys: Keys) -> AsyncIterator[Rig]:
    async with local_server(clock=ManualClock()) as server, aiohttp.ClientSession() as http:
        verifier = TokenVerifier([TrustedIssuer(TRUSTED, [keys])])
        extension = AuthenticationExtension(server.app.server, verifier, (keys,))
        server.app.server.add_extension(extension)
        yield Rig(server, extension, http)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async for rig in _rig(ConfiguredKeys(TRUSTED)):
        yield rig


@pytest.fixture
async def keyless() -> AsyncIterator[Rig]:
    async for rig in _rig(NoKeys()):
        yield rig


class TestHandshake:
    async def test_a_good_token_makes_the_user(self, rig: Rig) -> None:
        reply = await rig.handshake(KEY.token("cc_456", lives_s=60))
        assert reply["successful"] is True
        assert reply["ext"]["auth"] == {"user_id": "cc_456", "expires_at": "2023-11-14T22:14:20.000Z"}
        session = rig.server.app.server.core.sessions.get(reply["clientId"])
        assert session is not None
        assert session.user_id == "cc_456"

    async def test_a_bad_token_is_refused_for_good_and_makes_no_session(self, rig: Rig) -> None:
        reply = await rig.handshake(KEY.token(aud="billing"))
        assert (reply["successful"], reply["error"]) == (False, "401::token_audience_wrong")
        assert reply["advice"]["reconnect"] == "none"
        assert rig.server.sessions == 0

    @pytest.mark.parametrize("token", [5, "", ["x"], {}])
    async def test_what_is_no_token_is_refused_not_ignored(self, rig: Rig, token: object) -> None:
        assert (await rig.handshake(token))["error"] == "401::token_malformed"

    async def test_without_a_token_the_policy_decides(self, rig: Rig) -> None:
        reply = await rig.handshake()
        assert reply["successful"] is True
        assert "ext" not in reply

    async def test_while_no_key_was_ever_seen_the_answer_is_later(self, keyless: Rig) -> None:
        """A refusal would be for good; 503 is what stock clients come back from."""
        assert await keyless.handshake(KEY.token()) == {"status": 503}
        assert keyless.extension.unready() == "no keys"

    async def test_bearer_tokens_of_requests_are_read_too(self, rig: Rig) -> None:
        identity = await rig.extension.read_token(KEY.token("cc_456"))
        assert identity is not None
        assert identity.user_id == "cc_456"
        with pytest.raises(RemoteError, match="401::token_expired"):
            await rig.extension.read_token(KEY.token(lives_s=-1))

    async def test_a_request_whose_token_cannot_be_judged_is_told_so(self, keyless: Rig) -> None:
        with pytest.raises(RemoteError, match="503::token_keys_unavailable"):
            await keyless.extension.read_token(KEY.token())


class TestPublishWithoutSession:
    async def test_a_token_proves_its_message_and_no_other(self, rig: Rig) -> None:
        proved = _publish(KEY.token())
        replies = await rig.send(_publish(), proved, _publish(), proved, _publish(KEY.token(lives_s=-1)), _publish())
        assert [reply.get("error") for reply in replies] == [
            "402::session_unknown", None, "402::session_unknown", None, "401::token_expired", "402::session_unknown"
        ]  # fmt: skip
        assert rig.server.sessions == 0

    async def test_a_message_refused_after_its_token_was_read_proves_nothing_for_the_next(self, rig: Rig) -> None:
        rig.server.app.server.add_extension(_Refusing())
        replies = await rig.send(_publish(KEY.token()), _publish() | {"channel": "/b"})
        assert [reply["error"] for reply in replies] == ["403::no", "402::session_unknown"]

    async def test_a_token_of_another_user_than_the_requests_is_refused(self, rig: Rig) -> None:
        rig.server.app._token_readers.append(rig.extension.read_token)
        [reply] = await rig.send(_publish(KEY.token("cc_789")), token=KEY.token("cc_456"))
        assert reply["error"] == "403::token_of_another_user"

    async def test_while_the_token_cannot_be_judged_it_is_refused(self, keyless: Rig) -> None:
        [reply] = await keyless.send(_publish(KEY.token()))
        assert reply["error"] == "503::token_keys_unavailable"


class TestExpiry:
    async def test_the_session_ends_with_its_token(self, rig: Rig) -> None:
        client_id = (await rig.handshake(KEY.token(lives_s=30)))["clientId"]
        rig.server.advance(29.9)
        assert rig.server.sessions == 1
        rig.server.advance(0.2)
        assert rig.server.sessions == 0
        reply = await rig.connect(client_id)
        assert reply["error"] == "402::session_unknown"
        assert reply["ext"]["reason"] == "token_expired"

    async def test_a_connect_refreshes_in_place(self, rig: Rig) -> None:
        client_id = (await rig.handshake(KEY.token(lives_s=30)))["clientId"]
        reply = await rig.connect(client_id, auth={"token": KEY.token(lives_s=60)})
        assert reply["successful"] is True
        rig.server.advance(35)
        assert rig.server.sessions == 1
        rig.server.advance(25)
        assert rig.server.sessions == 0

    async def test_the_service_refreshes_in_place(self, rig: Rig) -> None:
        client_id = (await rig.handshake(KEY.token(lives_s=30)))["clientId"]
        call = {"channel": "/service/auth/refresh", "clientId": client_id, "id": "7"}
        await rig.send({**call, "data": {"token": KEY.token(lives_s=44)}})
        answers = await rig.send(
            {
                "channel": "/meta/connect",
                "clientId": client_id,
                "connectionType": "long-polling",
                "advice": {"timeout": 0},
            }
        )
        assert answers[0]["data"] == {"user_id": "cc_456", "expires_at": "2023-11-14T22:14:04.000Z"}
        rig.server.advance(40)
        assert rig.server.sessions == 1

    async def test_a_bad_or_foreign_token_refreshes_nothing(self, rig: Rig) -> None:
        client_id = (await rig.handshake(KEY.token(lives_s=30)))["clientId"]
        reply = await rig.connect(client_id, auth={"token": KEY.token("cc_789", lives_s=60)})
        assert reply["error"] == "403::token_of_another_user"
        reply = await rig.connect(client_id, auth={"token": KEY.token(aud="billing", lives_s=60)})
        assert reply["error"] == "401::token_audience_wrong"
        rig.server.advance(31)
        assert rig.server.sessions == 0

    async def test_an_anonymous_session_stays_anonymous(self, rig: Rig) -> None:
        client_id = (await rig.handshake())["clientId"]
        reply = await rig.connect(client_id, auth={"token": KEY.token()})
        assert reply["error"] == "403::session_is_anonymous"

    async def test_a_client_that_shows_its_token_with_every_connect_is_not_judged_each_time(self, rig: Rig) -> None:
        token = KEY.token(lives_s=30)
        client_id = (await rig.handshake(token))["clientId"]
        rig.server.advance(29)
        assert (await rig.connect(client_id, auth={"token": token}))["successful"] is True

"""Tokens for the demo's people."""

import os
from collections.abc import Iterator

import aiohttp
import pytest

from bayeux_server.app import BayeuxApp
from bayeux_server.settings import SettingsError
from extensions.demo_login import AUDIENCE, ISSUER
from tests.support.manual_clock import ManualClock
from tests.support.server import local_server, make_settings

SECRET_ENV = "DEMO_LOGIN_TEST_SECRET"
SECTIONS = {
    "extensions": {
        "demo_login": {"secret_env": SECRET_ENV},
        "authentication": {
            "issuers": [
                {
                    "issuer": ISSUER,
                    "audiences": [AUDIENCE],
                    "algorithms": ["HS256"],
                    "roles": ["care_coordinator", "rsa", "system"],
                    "keys": [{"secret_env": SECRET_ENV}],
                }
            ]
        },
    }
}


@pytest.fixture(autouse=True)
def _secret() -> Iterator[None]:
    os.environ.pop(SECRET_ENV, None)
    yield
    os.environ.pop(SECRET_ENV, None)


class TestDemoLogin:
    async def test_gives_each_of_its_people_a_token_that_the_server_accepts(self) -> None:
        async with local_server(SECTIONS, clock=ManualClock()) as server, aiohttp.ClientSession() as http:
            async with http.get(f"{server.base}/api/demo/people") as response:
                people = (await response.json())["items"]
            assert {each["user_role"] for each in people} == {"care_coordinator", "rsa", "system"}
            async with http.post(f"{server.base}/api/demo/login", json={"user_id": "rsa_001"}) as response:
                answer = await response.json()
            assert (response.status, answer["user"]["user_name"]) == (200, "Rita Stone")
            handshake = {
                "channel": "/meta/handshake",
                "version": "1.0",
                "supportedConnectionTypes": ["long-polling"],
                "ext": {"auth": {"token": answer["token"]}},
            }
            async with http.post(server.url, json=[handshake]) as response:
                assert (await response.json())[0]["successful"] is True
            assert [session.identity.user_id for session in server.app.server.core.sessions if session.identity] == [
                "rsa_001"
            ]

    @pytest.mark.parametrize("body", [{"user_id": "nobody"}, {}, {"user_id": "cc_001", "roles": ["system"]}, []])
    async def test_gives_nobody_else_one(self, body: object) -> None:
        async with (
            local_server(SECTIONS, clock=ManualClock()) as server,
            aiohttp.ClientSession() as http,
            http.post(f"{server.base}/api/demo/login", json=body) as response,
        ):
            assert (response.status, (await response.json())["error"]) == (404, "UNKNOWN_PERSON")

    async def test_makes_a_secret_of_its_own_for_each_run(self) -> None:
        assert SECRET_ENV not in os.environ
        async with local_server(SECTIONS, clock=ManualClock()):
            assert len(os.environ[SECRET_ENV]) >= 48

    def test_is_refused_outside_development(self) -> None:
        settings = make_settings({**SECTIONS, "security": {"mode": "rules"}})
        with pytest.raises(SettingsError, match=r"only with security\.mode = 'development'"):
            BayeuxApp(settings)

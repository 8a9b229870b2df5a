"""Published keys: fetched rarely, at once when needed, kept through outages."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bayeux_server.errors import LocalError
from extensions.authentication.jwks import JwksKeys
from extensions.authentication.keys import KeysUnavailableError
from tests.support.tokens import SigningKey

FIRST, SECOND = SigningKey("k1"), SigningKey("k2", "ES256")


class IssuerSite:
    """An issuer's JWKS endpoint that a test can change, stop answering, and count."""

    def __init__(self) -> None:
        self.keys: list[dict[str, object]] = [FIRST.jwk]
        self.status = 200
        self.body: bytes | None = None
        self.version = 1
        self.requests: list[str | None] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, request: web.Request) -> web.Response:
        """Serve the key set."""
        self.requests.append(request.headers.get("If-None-Match"))
        await self.gate.wait()
        etag = f'"{self.version}"'
        if self.status != 200:
            return web.Response(status=self.status, headers={"Location": "/elsewhere"})
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        if self.body is not None:
            return web.Response(body=self.body)
        return web.json_response({"keys": self.keys}, headers={"ETag": etag})


class Rig:
    """Keys, where they come from, and a clock to turn."""

    def __init__(self, site: IssuerSite, url: str) -> None:
        self.site = site
        self.now = 1_000.0
        self.keys = JwksKeys(url, lambda: self.now, timeout_s=5)

    async def knows(self, kid: str | None, algorithm: str) -> bool:
        """Whether a key is found."""
        return await self.keys.find(kid, algorithm) is not None


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    site = IssuerSite()
    app = web.Application()
    app.router.add_get("/jwks", site.answer)
    async with TestServer(app) as server:
        rig = Rig(site, str(server.make_url("/jwks")))
        yield rig
        site.gate.set()
        await rig.keys.stop()


class TestFetching:
    async def test_keys_are_fetched_at_start_and_kept(self, rig: Rig) -> None:
        await rig.keys.start()
        assert await rig.knows("k1", "RS256")
        assert await rig.knows("k1", "RS256")
        assert rig.site.requests == [None]

    async def test_however_many_ask_one_request_is_under_way(self, rig: Rig) -> None:
        rig.site.gate.clear()
        await rig.keys.start()
        asking = asyncio.gather(*(rig.knows("k1", "RS256") for _ in range(50)))
        await asyncio.sleep(0)
        rig.site.gate.set()
        assert all(await asking)
        assert len(rig.site.requests) == 1

    async def test_old_keys_are_used_while_new_ones_are_fetched(self, rig: Rig) -> None:
        await rig.keys.start()
        await rig.knows("k1", "RS256")
        rig.now += 301
        rig.site.gate.clear()
        assert await rig.knows("k1", "RS256")

    async def test_unchanged_keys_are_not_sent_again(self, rig: Rig) -> None:
        await rig.keys.start()
        await rig.knows("k1", "RS256")
        rig.now += 301
        await rig.knows("k1", "RS256")
        await rig.knows("unknown", "RS256")
        assert rig.site.requests == [None, '"1"']
        assert await rig.knows("k1", "RS256")

    async def test_a_rotated_key_is_fetched_at_once_but_not_for_every_made_up_id(self, rig: Rig) -> None:
        await rig.keys.start()
        await rig.knows("k1", "RS256")
        rig.site.keys, rig.site.version = [SECOND.jwk], 2
        assert not await rig.knows("k2", "ES256")
        rig.now += 30
        assert await rig.knows("k2", "ES256")
        for number in range(20):
            assert not await rig.knows(f"made-up-{number}", "ES256")
        assert len(rig.site.requests) == 2
        assert not await rig.knows("k1", "RS256")


class TestOutages:
    @pytest.mark.parametrize("status", [500, 404, 302])
    async def test_keys_last_seen_stay_good_for_a_day(self, rig: Rig, status: int) -> None:
        await rig.keys.start()
        await rig.knows("k1", "RS256")
        rig.site.status = status
        rig.now += 86_000
        assert await rig.knows("k1", "RS256")
        assert not await rig.knows("k2", "ES256")
        rig.now += 1_000
        with pytest.raises(KeysUnavailableError):
            await rig.knows("k1", "RS256")
        assert rig.keys.unready()

    async def test_an_issuer_that_was_down_at_start_is_asked_again_soon(self, rig: Rig) -> None:
        rig.site.status = 503
        await rig.keys.start()
        with pytest.raises(KeysUnavailableError):
            await rig.knows("k1", "RS256")
        rig.site.status = 200
        with pytest.raises(KeysUnavailableError):
            await rig.knows("k1", "RS256")
        rig.now += 2
        assert await rig.knows("k1", "RS256")
        assert rig.keys.unready() is None

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b'{"keys": 5}', b'{"keys": []}', b"x" * 300_000, b'{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'],
    )
    async def test_a_broken_document_does_not_replace_good_keys(self, rig: Rig, body: bytes) -> None:
        await rig.keys.start()
        await rig.knows("k1", "RS256")
        rig.site.body, rig.site.version = body, 2
        rig.now += 301
        assert not await rig.knows("k2", "ES256")
        assert await rig.knows("k1", "RS256")


class TestFinding:
    async def test_a_key_is_for_its_own_algorithm_and_use(self, rig: Rig) -> None:
        encryption = {**SECOND.jwk, "kid": "enc", "use": "enc"}
        broken: dict[str, object] = {"kty": "RSA", "kid": "broken", "n": "?", "e": "?"}
        rig.site.keys = [FIRST.jwk, encryption, broken]
        await rig.keys.start()
        assert await rig.knows("k1", "RS256")
        assert not await rig.knows("k1", "PS256")
        assert not await rig.knows("enc", "ES256")
        assert not await rig.knows("broken", "RS256")

    async def test_a_token_without_a_key_id_gets_the_only_key(self, rig: Rig) -> None:
        await rig.keys.start()
        assert await rig.knows(None, "RS256")
        rig.site.keys, rig.site.version = [FIRST.jwk, SigningKey("k3").jwk], 2
        rig.now += 301
        await rig.knows("k3", "RS256")
        assert not await rig.knows(None, "RS256")

    @pytest.mark.parametrize("url", ["http://id.example/jwks", "ftp://id.example/jwks", "file:///etc/passwd", "jwks"])
    def test_keys_come_over_https_only(self, url: str) -> None:
        with pytest.raises(LocalError, match="https"):
            JwksKeys(url, lambda: 0.0)

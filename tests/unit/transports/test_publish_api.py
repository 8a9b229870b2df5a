"""``POST /api/publish``: for services that hold no session."""

import asyncio
import io
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import schemathesis
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from schemathesis import Case

from bayeux_server.app import BayeuxApp
from bayeux_server.backends.memory.broker import MemoryBroker
from bayeux_server.errors import RemoteError
from bayeux_server.protocol.messages import Publication, Publish
from bayeux_server.server.extension import Extension
from bayeux_server.server.identity import Identity
from bayeux_server.server.session import ServerSession
from tests.support.client import PATIENCE_S
from tests.support.examples import examples
from tests.support.manual_clock import ManualClock
from tests.support.server import make_settings
from tests.support.services.redis import Redis

Client = TestClient[Any, Any]


class Rig:
    """A running server, and what was published on it."""

    def __init__(self, app: BayeuxApp, client: Client) -> None:
        self.app = app
        self.client = client
        self.published: list[Publication] = []
        app.server.local_session("test").subscribe("/**", self.published.append)

    async def publish(self, body: io.BytesIO | str | bytes, **headers: str) -> tuple[int, Any]:
        response = await self.client.post("/api/publish", data=body, headers=headers)
        return response.status, await response.json()


class _Gate(Extension):
    """Holds every publish until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def incoming(self, session: ServerSession | None, message: Publish) -> None:
        self.reached.set()
        await self.opened.wait()


class _Closed(Extension):
    """Lets nothing be published."""

    def incoming(self, session: ServerSession | None, message: Publish) -> None:
        raise RemoteError(403, (), "closed")


class _Unreachable(MemoryBroker):
    def publish(self, publication: Publication) -> None:
        raise ConnectionRefusedError


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    app = BayeuxApp(make_settings())
    async with TestClient(TestServer(app.web)) as client:
        yield Rig(app, client)


class TestPublishing:
    async def test_one_message_reaches_subscribers_byte_for_byte(self, rig: Rig) -> None:
        status, answer = await rig.publish('{"channel": "/a", "data": {"x": 1.0,  "y":1e2}}')
        assert (status, answer) == (200, {"results": [{"channel": "/a", "accepted": True}]})
        assert [each.data for each in rig.published] == [b'{"x": 1.0,  "y":1e2}']

    async def test_a_refused_message_names_its_error_and_the_others_go_on(self, rig: Rig) -> None:
        status, answer = await rig.publish('{"messages":[{"channel":"/a/*","data":1},{"channel":"/b","data":null}]}')
        assert status == 200
        assert answer["results"][0]["error"] == {"code": 405, "message": "405:/a/*:channel_invalid"}
        assert [each.channel.name for each in rig.published] == ["/b"]

    @pytest.mark.parametrize("channel", ["/meta/connect", "/meta/x", "/service/x"])
    async def test_conversations_are_not_for_it(self, rig: Rig, channel: str) -> None:
        _, answer = await rig.publish(f'{{"channel":"{channel}","data":1}}')
        assert answer["results"][0]["accepted"] is False

    @pytest.mark.parametrize("body", ["", "[]", "{}", '{"channel":"/a"}', '{"channel":"/a","data":1,"id":1}', "nan"])
    async def test_a_body_that_is_not_as_described_is_unprocessable(self, rig: Rig, body: str) -> None:
        status, answer = await rig.publish(body)
        assert (status, answer["error"]) == (422, "INVALID_BODY")

    async def test_data_that_is_not_utf_8_is_unprocessable(self, rig: Rig) -> None:
        status, _ = await rig.publish(b'{"channel":"/a","data":"\xff"}')
        assert status == 422
        assert rig.published == []

    async def test_a_body_above_the_limit_is_too_large(self, rig: Rig) -> None:
        status, answer = await rig.publish(io.BytesIO(b"x" * 1_048_577))
        assert (status, answer["error"]) == (413, "TOO_LARGE")

    async def test_too_many_messages_are_too_large(self, rig: Rig) -> None:
        status, answer = await rig.publish(json.dumps({"messages": [{"channel": "/a", "data": 1}] * 1_001}))
        assert (status, answer["error"]) == (413, "TOO_LARGE")
        assert rig.published == []

    async def test_a_body_that_is_not_encoded_as_it_says_is_a_bad_request(self, rig: Rig) -> None:
        status, answer = await rig.publish(b"no gzip", **{"Content-Encoding": "gzip"})
        assert (status, answer["error"]) == (400, "UNREADABLE_BODY")

    async def test_a_client_that_hangs_up_stops_no_batch(self, rig: Rig) -> None:
        """And when it comes back, it learns what became of it."""
        gate = _Gate()
        rig.app.server.add_extension(gate)
        body, key = '{"messages":[{"channel":"/a","data":1},{"channel":"/b","data":2}]}', {"Idempotency-Key": "k"}
        impatient = asyncio.create_task(rig.publish(body, **key))
        await gate.reached.wait()
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        status, answer = await rig.publish(body, **key)
        assert (status, answer["error"]) == (409, "UNDER_WAY")
        gate.opened.set()
        async with asyncio.timeout(PATIENCE_S):
            while len(rig.published) < 2:  # noqa: ASYNC110 - nobody waits for the answer that would tell
                await asyncio.sleep(0)
        assert await rig.publish(body, **key) == (
            200,
            {"results": [{"channel": "/a", "accepted": True}, {"channel": "/b", "accepted": True}]},
        )
        assert [each.channel.name for each in rig.published] == ["/a", "/b"]


class TestSharedKeys:
    """Where nodes share publications they share the answers too."""

    async def test_a_retry_at_another_node_publishes_nothing(self, redis_url: str) -> None:
        backend = {"backend": {"broker": "redis", "redis_url": redis_url}}
        here, there = BayeuxApp(make_settings(backend)), BayeuxApp(make_settings(backend))
        body, key = '{"channel":"/a","data":1}', {"Idempotency-Key": "k"}
        async with TestClient(TestServer(here.web)) as first, TestClient(TestServer(there.web)) as second:
            answer = await Rig(here, first).publish(body, **key)
            there.server.add_extension(_Closed())
            assert await Rig(there, second).publish(body, **key) == answer
            assert answer == (200, {"results": [{"channel": "/a", "accepted": True}]})

    async def test_without_the_store_nothing_is_published(self) -> None:
        with Redis() as redis:
            app = BayeuxApp(make_settings({"backend": {"broker": "redis", "redis_url": redis.url}}))
            async with TestClient(TestServer(app.web)) as client:
                rig = Rig(app, client)
                redis.kill()
                status, answer = await rig.publish('{"channel":"/a","data":1}', **{"Idempotency-Key": "k"})
        assert (status, answer["error"]) == (503, "UNAVAILABLE")
        assert rig.published == []


class TestTokens:
    BODY = '{"channel":"/a","data":1}'

    async def test_one_nobody_can_read_is_refused_even_in_development(self, rig: Rig) -> None:
        response = await rig.client.post("/api/publish", data=self.BODY, headers={"Authorization": "Bearer nonsense"})
        assert (response.status, (await response.json())["reason"]) == (401, "token_unknown")
        assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token", error_description="token_unknown"'
        assert rig.published == []

    async def test_where_one_is_needed_who_brings_none_is_told(self) -> None:
        app = BayeuxApp(make_settings({"security": {"mode": "rules"}}))
        async with TestClient(TestServer(app.web)) as client:
            response = await client.post("/api/publish", data=self.BODY)
            assert (response.status, (await response.json())["reason"]) == (401, "token_missing")
            assert response.headers["WWW-Authenticate"] == "Bearer"

    @pytest.mark.parametrize(
        ("refusal", "status", "error"),
        [
            (RemoteError(401, (), "token_expired"), 401, "UNAUTHENTICATED"),
            (RemoteError(503, (), "token_keys_unavailable"), 503, "UNAVAILABLE"),
        ],
    )
    async def test_one_that_is_not_good_is_told_apart_from_one_that_cannot_be_judged(
        self, rig: Rig, refusal: RemoteError, status: int, error: str
    ) -> None:
        async def read(_token: str) -> Identity | None:
            raise refusal

        rig.app._token_readers.append(read)
        answered, answer = await rig.publish(self.BODY, Authorization="Bearer a.b.c")
        assert (answered, answer["error"]) == (status, error)


class TestRefusedForNow:
    """What may be accepted later: 429 and 503 for the whole, and the key is free again."""

    async def test_beyond_the_rate_of_an_address_it_is_429_until_time_passes(self) -> None:
        clock = ManualClock()
        no_limits: dict[str, Any] = {"publish": {}, "subscribe": {}, "handshake": {}}
        limit = {**no_limits, "publish": {"address": {"per_s": 1, "burst": 1}}}
        app = BayeuxApp(make_settings({"extensions": {"rate_limit": limit}}), clock=clock)
        async with TestClient(TestServer(app.web)) as client:
            rig = Rig(app, client)
            body, key = '{"messages":[{"channel":"/a","data":1}]}', {"Idempotency-Key": "k"}
            assert (await rig.publish('{"channel":"/a","data":0}'))[0] == 200
            response = await client.post("/api/publish", data=body, headers=key)
            assert (response.status, response.headers["Retry-After"]) == (429, "1")
            [result] = (await response.json())["results"]
            assert result["error"] == {"code": 429, "message": "429:/a:too_many_publishes"}
            clock.advance(1)
            assert (await rig.publish(body, **key))[0] == 200
            assert [each.data for each in rig.published] == [b"0", b"1"]

    async def test_one_message_beyond_the_rate_is_refused_by_itself(self) -> None:
        limit = {"publish": {"user": {"per_s": 1, "burst": 1}}, "subscribe": {}, "handshake": {}}
        app = BayeuxApp(make_settings({"extensions": {"rate_limit": limit}}), clock=ManualClock())
        async with TestClient(TestServer(app.web)) as client:
            status, answer = await Rig(app, client).publish(
                json.dumps({"messages": [{"channel": "/a", "data": 1}] * 2})
            )
        assert (status, [each["accepted"] for each in answer["results"]]) == (200, [True, False])

    async def test_without_a_broker_it_is_503_and_the_same_request_may_come_again(self, rig: Rig) -> None:
        broker = rig.app.server.core.broker
        rig.app.server.core.broker = _Unreachable()
        key = {"Idempotency-Key": "k"}
        body = '{"channel":"/a","data":1}'
        response = await rig.client.post("/api/publish", data=body, headers=key)
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        rig.app.server.core.broker = broker
        assert (await rig.publish(body, **key))[0] == 200
        assert len(rig.published) == 1


class TestIdempotency:
    BODY = '{"channel":"/a","data":1}'

    async def test_a_retry_gets_the_first_answer_and_publishes_nothing(self, rig: Rig) -> None:
        first = await rig.publish(self.BODY, **{"Idempotency-Key": "k"})
        assert await rig.publish(self.BODY, **{"Idempotency-Key": "k"}) == first
        assert len(rig.published) == 1

    async def test_a_key_with_another_body_is_refused(self, rig: Rig) -> None:
        await rig.publish(self.BODY, **{"Idempotency-Key": "k"})
        status, answer = await rig.publish('{"channel":"/a","data":2}', **{"Idempotency-Key": "k"})
        assert (status, answer["message"]) == (422, "Idempotency-Key was used with another body")

    async def test_two_at_once_publish_once(self, rig: Rig) -> None:
        answers = await asyncio.gather(*(rig.publish(self.BODY, **{"Idempotency-Key": "k"}) for _ in range(5)))
        assert {status for status, _ in answers} <= {200, 409}
        assert len(rig.published) == 1

    @pytest.mark.parametrize("key", ["", "k" * 256])
    async def test_a_key_that_is_none_is_refused(self, rig: Rig, key: str) -> None:
        status, answer = await rig.publish(self.BODY, **{"Idempotency-Key": key})
        assert (status, answer["error"]) == (422, "INVALID_KEY")
        assert rig.published == []


class TestOpenApi:
    async def test_the_server_does_what_its_document_says(self, rig: Rig) -> None:
        """Requests made from the document, good and bad; answers checked against it."""
        document = await (await rig.client.get("/api/openapi.json")).json()
        base_url = str(rig.client.make_url("")).rstrip("/")
        operation = schemathesis.openapi.from_dict(document)["/api/publish"]["POST"]
        keys = itertools.count()

        @settings(max_examples=examples(50), deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Case[Any]) -> None:
            if case.headers.get("Idempotency-Key"):
                case.headers["Idempotency-Key"] = f"key-{next(keys)}"  # its reuse is another test's
            case.call_and_validate(base_url=base_url)

        await asyncio.to_thread(check)

"""``POST /api/publish``: for services that hold no session."""

import asyncio
import io
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import schemathesis
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from schemathesis import Case

from bayeux_server.app import BayeuxApp
from bayeux_server.protocol.messages import Publication
from tests.support.server import make_settings

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
        assert (status, answer["code"]) == (422, 422)

    async def test_data_that_is_not_utf_8_is_unprocessable(self, rig: Rig) -> None:
        status, _ = await rig.publish(b'{"channel":"/a","data":"\xff"}')
        assert status == 422
        assert rig.published == []

    async def test_a_body_above_the_limit_is_too_large(self, rig: Rig) -> None:
        status, answer = await rig.publish(io.BytesIO(b"x" * 1_048_577))
        assert (status, answer["code"]) == (413, 413)

    async def test_a_token_nobody_can_read_is_refused_even_in_development(self, rig: Rig) -> None:
        status, _ = await rig.publish('{"channel":"/a","data":1}', Authorization="Bearer nonsense")
        assert status == 401
        assert rig.published == []


class TestIdempotency:
    BODY = '{"channel":"/a","data":1}'

    async def test_a_retry_gets_the_first_answer_and_publishes_nothing(self, rig: Rig) -> None:
        first = await rig.publish(self.BODY, **{"Idempotency-Key": "k"})
        assert await rig.publish(self.BODY, **{"Idempotency-Key": "k"}) == first
        assert len(rig.published) == 1

    async def test_a_key_with_another_body_is_refused(self, rig: Rig) -> None:
        await rig.publish(self.BODY, **{"Idempotency-Key": "k"})
        status, answer = await rig.publish('{"channel":"/a","data":2}', **{"Idempotency-Key": "k"})
        assert (status, answer["message"]) == (422, "Idempotency-Key: was used with another body")

    async def test_two_at_once_publish_once(self, rig: Rig) -> None:
        answers = await asyncio.gather(*(rig.publish(self.BODY, **{"Idempotency-Key": "k"}) for _ in range(5)))
        assert {status for status, _ in answers} <= {200, 409}
        assert len(rig.published) == 1


class TestOpenApi:
    async def test_the_server_does_what_its_document_says(self, rig: Rig) -> None:
        """Requests made from the document, good and bad; answers checked against it."""
        document = await (await rig.client.get("/api/openapi.json")).json()
        base_url = str(rig.client.make_url("")).rstrip("/")
        operation = schemathesis.openapi.from_dict(document)["/api/publish"]["POST"]
        keys = itertools.count()

        @settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Case[Any]) -> None:
            if case.headers.get("Idempotency-Key"):
                case.headers["Idempotency-Key"] = f"key-{next(keys)}"  # its reuse is another test's
            case.call_and_validate(base_url=base_url)

        await asyncio.to_thread(check)

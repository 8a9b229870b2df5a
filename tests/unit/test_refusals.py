"""What is answered where no handler answers."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from bayeux_server.refusals import refuse_in_json
from tests.support.server import LocalServer, local_server

SECRET = "s3cr3t"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def ask(server: LocalServer, method: str, path: str) -> tuple[int, Any, Any]:
    async with aiohttp.ClientSession() as http, http.request(method, server.base + path) as response:
        return response.status, response.headers, await response.json()


def serving(*handlers: Handler) -> TestClient[Any, Any]:
    """Return the client of an application with handlers of somebody else, each at its name."""
    app = web.Application(middlewares=[refuse_in_json()])
    app.add_routes(web.get(f"/{handler.__name__}", handler) for handler in handlers)
    return TestClient(TestServer(app))


class TestWhatNobodyServes:
    @pytest.mark.parametrize("path", ["/api/nothing", f"/api/publish/{SECRET}", "/nothing", "/bayeuxx"])
    async def test_an_address_that_is_nobodys_is_not_found(self, path: str) -> None:
        async with local_server() as server:
            status, _, body = await ask(server, "POST", path)
        assert (status, body["error"]) == (404, "NOT_FOUND")
        assert SECRET not in str(body)

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [("GET", "/api/publish", "POST"), ("DELETE", "/api/openapi.json", "GET"), ("PUT", "/bayeux", "POST")],
    )
    async def test_another_method_is_told_those_the_address_takes(self, method: str, path: str, allowed: str) -> None:
        async with local_server() as server:
            status, headers, body = await ask(server, method, path)
        assert (status, body["error"]) == (405, "METHOD_NOT_ALLOWED")
        assert allowed in headers["Allow"].split(",")
        assert method not in headers["Allow"].split(",")


class TestWhatHandlersRaise:
    async def test_a_refusal_is_retold_with_its_headers(self) -> None:
        async def busy(_request: web.Request) -> web.Response:
            raise web.HTTPServiceUnavailable(text="not before noon", headers={"Retry-After": "60"})

        async with serving(busy) as client:
            response = await client.get("/busy")
            assert await response.json() == {"error": "SERVICE_UNAVAILABLE", "message": "not before noon"}
            assert (response.status, response.headers["Retry-After"]) == (503, "60")

    async def test_a_refusal_with_a_body_of_its_own_and_a_redirect_stay_as_they_are(self) -> None:
        async def teapot(_request: web.Request) -> web.Response:
            raise web.HTTPBadRequest(text="<p>", content_type="text/html")

        async def moved(_request: web.Request) -> web.Response:
            raise web.HTTPFound("/teapot")

        async with serving(teapot, moved) as client:
            response = await client.get("/moved")
            assert (response.status, response.content_type, await response.text()) == (400, "text/html", "<p>")
            assert [each.status for each in response.history] == [302]

    async def test_a_bug_is_answered_without_what_it_says_and_logged(self) -> None:
        async def broken(_request: web.Request) -> web.Response:
            raise ValueError(SECRET)

        async with serving(broken) as client:
            with capture_logs() as lines:
                response = await client.get("/broken")
            assert await response.json() == {"error": "INTERNAL", "message": "The request failed"}
        assert response.status == 500
        assert [line["event"] for line in lines if line["log_level"] == "error"] == ["request.failed"]

    async def test_a_response_that_has_begun_is_cut_off(self) -> None:
        async def halting(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"one")
            raise ValueError(SECRET)

        async with serving(halting) as client:
            response = await client.get("/halting")
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

"""An extension that raises refuses that one message; nothing it was to check slips past."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.messages import Message, Publish, Reply
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from tests.conformance.world import ALL, Target, World
from tests.support.server import LocalServer, local_server


class _Failing(Extension):
    def __init__(self, hook: str, error: Exception) -> None:
        self._hook = hook
        self._error = error

    def _fail(self, hook: str) -> None:
        if hook == self._hook:
            raise self._error

    def incoming(self, session: ServerSession | None, message: Publish) -> None:
        if message.channel.name == "/bad":
            self._fail("incoming")

    async def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        if message.channel.name == "/meta/subscribe":
            self._fail("incoming_meta")

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        if reply.channel in ("/bad", "/meta/subscribe"):
            self._fail("outgoing_meta")


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with local_server() as running:
        yield running


class TestFailingExtension:
    @pytest.mark.parametrize("transport", ALL)
    async def test_mistake_refuses_one_publish_with_a_500(self, server: LocalServer, transport: str) -> None:
        server.app.server.add_extension(_Failing("incoming", ValueError("a secret")))
        async with World(Target(server.url), transport) as world:
            client = await world.session()
            await client.subscribe(["/bad", "/good"])
            with capture_logs() as entries:
                bad, good = await client.batch(client.message("/bad", data=1), client.message("/good", data=2))
            assert (bad["successful"], bad["error"]) == (False, "500::server_error")
            assert good["successful"] is True
            assert (await client.event())["data"] == 2
        assert [entry["event"] for entry in entries if entry["log_level"] == "error"] == ["message.failed"]

    async def test_refusal_is_told_in_its_own_words(self, server: LocalServer) -> None:
        server.app.server.add_extension(_Failing("incoming", RemoteError(429, ["/bad"], "too_fast")))
        async with World(Target(server.url), "websocket") as world:
            assert (await (await world.session()).publish("/bad", 1))["error"] == "429:/bad:too_fast"

    @pytest.mark.parametrize("hook", ["incoming_meta", "outgoing_meta"])
    async def test_meta_message_is_refused_by_either_hook(self, server: LocalServer, hook: str) -> None:
        server.app.server.add_extension(_Failing(hook, ValueError()))
        async with World(Target(server.url), "long-polling") as world:
            with capture_logs():
                reply = await (await world.session()).subscribe("/a")
        assert (reply["successful"], reply["error"]) == (False, "500::server_error")

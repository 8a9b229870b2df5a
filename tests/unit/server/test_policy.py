"""What the security policy decides before there is a session, or without one."""

import pytest

from bayeux_server.protocol.messages import Handshake
from bayeux_server.server.authorizer import AllowAll
from bayeux_server.server.session import ServerSession
from tests.support.bench import BenchClient, open_bench


class _Closed(AllowAll):
    def can_handshake(self, session: ServerSession, message: Handshake) -> bool:
        return False


class TestPolicy:
    async def test_a_handshake_it_denies_is_refused_for_good(self) -> None:
        async with open_bench() as bench:
            bench.server.core.policy = _Closed()
            reply = await BenchClient(bench).handshake()
            assert (reply["successful"], reply["error"]) == (False, "403::handshake_denied")
            # Never "handshake": Faye 1.4 then shakes hands hundreds of times a second.
            assert reply["advice"] == {"reconnect": "none", "interval": 0, "timeout": 0}
            assert "clientId" not in reply
            assert len(bench.server.core.sessions) == 0

    @pytest.mark.parametrize("allowed", [False, True])
    async def test_a_publish_needs_a_session_unless_the_configuration_says_otherwise(self, allowed: bool) -> None:
        async with open_bench({"security": {"publish_without_session": allowed}}) as bench:
            listener = await bench.client()
            await listener.subscribe("/a")
            reply = await BenchClient(bench).publish("/a", "bare")
            assert reply["successful"] is allowed
            assert [event["data"] for event in await listener.events()] == ["bare"] * allowed

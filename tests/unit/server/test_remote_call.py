import asyncio
import json

import pytest
from msgspec import Raw
from structlog.testing import capture_logs

from bayeux_server.errors import LocalError, RemoteError
from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import Publish
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.remote_call import RemoteCall, RemoteCalls
from tests.support.core import Turns, make_core
from tests.support.manual_clock import ManualClock

parse = ChannelGrammar().parse


def _call(channel: str, data: bytes = b"1", number: bytes | None = b"7") -> Publish:
    return Publish(channel=parse(channel), data=Raw(data), id=None if number is None else Raw(number))


class TestRemoteCalls:
    def setup_method(self) -> None:
        self.calls = RemoteCalls(max_calls_per_session=2)
        self.session = Lifecycle(make_core(ManualClock(), Turns())).new_session(address="", transport="websocket")

    async def _answer(self, message: Publish) -> list[dict[str, object]]:
        assert self.calls.start(self.session, message)
        await self.calls.stop()
        answers, self.session.queue[:] = [json.loads(answer.json) for answer in self.session.queue], []
        return answers

    async def test_answer_is_an_event_with_the_call_s_id(self) -> None:
        async def double(call: RemoteCall) -> object:
            return call.data * 2

        self.calls.add("/service/double", double)
        answers = await self._answer(_call("/service/double", b"21"))
        assert answers == [{"channel": "/service/double", "data": 42, "id": 7, "successful": True}]

    async def test_pattern_gives_parameters(self) -> None:
        async def tell(call: RemoteCall) -> object:
            return dict(call.parameters)

        self.calls.add("/service/task/{task_id}/{verb}", tell)
        [answer] = await self._answer(_call("/service/task/t-1/get"))
        assert answer["data"] == {"task_id": "t-1", "verb": "get"}
        assert not self.calls.start(self.session, _call("/service/task/t-1"))

    async def test_refusal_is_an_answer_that_is_not_successful(self) -> None:
        async def refuse(_call: RemoteCall) -> object:
            raise RemoteError(404, ["t-1"], "task_unknown")

        self.calls.add("/service/a", refuse)
        [answer] = await self._answer(_call("/service/a"))
        assert answer["successful"] is False
        assert answer["data"] == {"error": "404:t-1:task_unknown", "code": 404, "message": "task_unknown"}

    async def test_mistake_of_ours_is_a_500_without_details(self) -> None:
        async def fail(_call: RemoteCall) -> object:
            raise ValueError("a secret")

        self.calls.add("/service/a", fail)
        with capture_logs() as entries:
            [answer] = await self._answer(_call("/service/a"))
        assert answer["data"] == {"error": "500::server_error", "code": 500, "message": "server_error"}
        assert [entry["event"] for entry in entries] == ["service.failed"]

    async def test_nothing_is_answered_where_nobody_waits(self) -> None:
        async def nothing(_call: RemoteCall) -> object:
            return None

        self.calls.add("/service/a", nothing)
        assert await self._answer(_call("/service/a", number=None)) == []
        [answer] = await self._answer(_call("/service/a"))
        assert answer["data"] is None

    async def test_too_many_at_once_are_refused(self) -> None:
        gate = asyncio.Event()

        async def wait(_call: RemoteCall) -> object:
            await gate.wait()
            return 1

        self.calls.add("/service/a", wait)
        for _ in range(2):
            self.calls.start(self.session, _call("/service/a"))
        with pytest.raises(RemoteError, match="429:/service/a:too_many_calls"):
            self.calls.start(self.session, _call("/service/a"))
        gate.set()
        await self.calls.stop()
        assert self.calls.start(self.session, _call("/service/a"))
        await self.calls.stop()

    def test_channel_is_a_service_s_and_served_once(self) -> None:
        async def serve(_call: RemoteCall) -> object:
            return None

        self.calls.add("/service/a", serve)
        for taken in ("/service/a", "/a", "/meta/a"):
            with pytest.raises(LocalError):
                self.calls.add(taken, serve)

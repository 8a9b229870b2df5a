"""Publishing while the broker cannot be reached: refused for now, and told to the log once."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from bayeux_server.protocol.messages import Publication
from tests.support.bench import Bench, open_bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as bench:
        yield bench


async def test_publishes_are_refused_for_now_and_taken_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_publication: Publication) -> None:
        raise ConnectionError("the address may hold a password")

    client = await bench.client()
    with capture_logs() as logs:
        with monkeypatch.context() as patch:
            patch.setattr(bench.server.core.broker, "publish", away)
            errors = [(await client.publish("/chat"))["error"] for _ in range(3)]
        assert errors == ["503::broker_unavailable"] * 3
        for _ in range(2):
            assert (await client.publish("/chat"))["successful"]
    assert [(entry["event"], entry["log_level"], entry.get("error")) for entry in logs] == [
        ("broker.unavailable", "error", "ConnectionError"),
        ("broker.available", "info", None),
    ]

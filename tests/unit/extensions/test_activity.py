import pytest

from bayeux_server.settings import SettingsError
from tests.support.bench import Bench, BenchClient, open_bench

SECTION = {"extensions": {"activity": {"max_inactive_ms": 60_000}}}


async def idle(bench: Bench, client: BenchClient, seconds: int) -> None:
    """Do nothing but connect for so long."""
    for _ in range(seconds // 20):
        bench.clock.advance(20)
        assert (await client.connect(advice={"timeout": 0})).reply["successful"]


class TestActivity:
    async def test_a_session_that_only_connects_ends_at_its_next_connect_and_is_told_to_stay_away(self) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            await client.connect()
            await idle(bench, client, 60)
            bench.clock.advance(1)
            reply = (await client.connect()).reply
            assert reply["error"] == "403::inactive"
            assert reply["advice"]["reconnect"] == "none"
            assert set(reply["advice"]) >= {"interval", "timeout"}
            assert len(bench.server.core.sessions) == 0
            assert bench.server.core.sessions.why_ended(client.id) == "inactive"

    @pytest.mark.parametrize("deed", ["publish", "subscribe", "unsubscribe"])
    async def test_anything_of_its_own_keeps_it(self, deed: str) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            await client.connect()
            await idle(bench, client, 60)
            if deed == "publish":
                await client.publish("/a")
            else:
                await client.send(f"/meta/{deed}", subscription="/a")
            await idle(bench, client, 60)
            assert len(bench.server.core.sessions) == 1

    async def test_what_others_send_it_does_not_keep_it(self) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            await client.subscribe("/a")
            await client.connect()
            await idle(bench, client, 60)
            await bench.server.publish("/a", 1)
            bench.clock.advance(1)
            assert not (await client.connect()).reply["successful"]

    async def test_a_bad_time_is_refused_by_name(self) -> None:
        with pytest.raises(SettingsError, match=r"extensions\.activity\.max_inactive_ms = 0"):
            async with open_bench({"extensions": {"activity": {"max_inactive_ms": 0}}}):
                pass

from typing import Any

import pytest

from tests.support.bench import open_bench
from tests.support.manual_clock import START_WALL_S

SECTION: dict[str, Any] = {"extensions": {"timesync": {}}}
NOW_MS = int(START_WALL_S * 1_000)


class TestTimeSync:
    async def test_the_handshake_tells_the_servers_time_and_how_wrong_the_client_is(self) -> None:
        async with open_bench(SECTION) as bench:
            reply = await bench.client()
            answer = await bench.request(
                {
                    "channel": "/meta/handshake",
                    "version": "1.0",
                    "supportedConnectionTypes": ["long-polling"],
                    "ext": {"timesync": {"tc": NOW_MS - 500, "l": 20, "o": 400}},
                }
            )
            assert reply.id
        assert answer.reply["ext"]["timesync"] == {"tc": NOW_MS - 500, "ts": NOW_MS, "p": 0, "a": -80}

    async def test_how_long_a_connect_was_held_is_told(self) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            await client.connect()
            held = await client.connect(ext={"timesync": {"tc": NOW_MS, "l": 0, "o": 0}})
            bench.clock.advance(25)
            await bench.settle()
        assert held.reply["ext"]["timesync"] == {"tc": NOW_MS, "ts": NOW_MS, "p": 25_000, "a": 0}

    async def test_each_message_gets_its_own_answer(self) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            await client.connect()
            held = await client.connect(ext={"timesync": {"tc": 1, "l": 0, "o": 0}})
            newer = await client.connect(ext={"timesync": {"tc": 2, "l": 0, "o": 0}}, advice={"timeout": 0})
        assert held.reply["ext"]["timesync"]["tc"] == 1
        assert newer.reply["ext"]["timesync"]["tc"] == 2

    async def test_lag_and_offset_may_be_missing_and_numbers_keep_their_kind(self) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            reply = (await client.connect(ext={"timesync": {"tc": 1.5}})).reply
        assert reply["ext"]["timesync"]["tc"] == 1.5

    @pytest.mark.parametrize("asked", [None, [], 1, {}, {"tc": "1"}, {"tc": True}, {"tc": 1e300}, {"tc": 1, "l": "x"}])
    async def test_what_is_no_time_is_not_answered(self, asked: Any) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            reply = (await client.connect(ext={"timesync": asked})).reply
        assert reply["successful"]
        assert "ext" not in reply

    async def test_connects_that_were_cut_leave_nothing_that_grows(self) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            await client.connect()
            for _ in range(50):
                (await client.connect(ext={"timesync": {"tc": 1}})).cut()
            assert len(client.session.attributes["timesync"]) <= 8

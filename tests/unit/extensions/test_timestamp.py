from tests.support.bench import open_bench


class TestTimestamp:
    async def test_replies_and_events_say_when_they_were_made(self) -> None:
        async with open_bench({"extensions": {"timestamp": {}}}) as bench:
            client = await bench.client()
            bench.clock.advance(0.25)
            assert (await client.subscribe("/a"))["timestamp"] == "2023-11-14T22:13:20.250Z"
            assert (await client.publish("/a"))["timestamp"] == "2023-11-14T22:13:20.250Z"
            bench.clock.advance(1)
            [event] = await client.events()
        assert event == {"channel": "/a", "data": 1, "timestamp": "2023-11-14T22:13:20.250Z"}

    async def test_a_publishers_own_timestamp_reaches_nobody(self) -> None:
        async with open_bench({"extensions": {"timestamp": {}}}) as bench:
            client = await bench.client()
            await client.subscribe("/a")
            await client.publish("/a", timestamp="1999-01-01T00:00:00Z")
            [event] = await client.events()
        assert event["timestamp"].startswith("2023")

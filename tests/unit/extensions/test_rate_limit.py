from typing import Any

import pytest

from bayeux_server.errors import Overloaded
from bayeux_server.settings import SettingsError
from extensions.rate_limit import Buckets, Rate
from tests.support.bench import Bench, BenchClient, open_bench

NO_LIMITS: dict[str, Any] = {"publish": {}, "subscribe": {}, "handshake": {}}


def limits(operation: str, **scopes: tuple[float, int]) -> dict[str, Any]:
    """Return a configuration with these limits, rate per second and burst, and no others."""
    rates = {scope: {"per_s": per_s, "burst": burst} for scope, (per_s, burst) in scopes.items()}
    return {"extensions": {"rate_limit": {**NO_LIMITS, operation: rates}}}


def refused(bench: Bench, operation: str, scope: str) -> float | None:
    return bench.app.registry.get_sample_value("bayeux_rate_limited_total", {"operation": operation, "scope": scope})


async def publishes(client: BenchClient, times: int) -> list[bool]:
    return [(await client.publish("/a"))["successful"] for _ in range(times)]


class TestBuckets:
    def test_a_burst_passes_and_then_the_rate(self) -> None:
        buckets = Buckets(Rate(10, 3), 100)
        assert [self._take(buckets, 0.0) for _ in range(4)] == [True, True, True, False]
        assert [self._take(buckets, 0.1), self._take(buckets, 0.1)] == [True, False]
        assert [self._take(buckets, 100.0) for _ in range(4)] == [True, True, True, False]

    def test_a_steady_client_at_the_very_rate_is_never_refused(self) -> None:
        buckets = Buckets(Rate(10, 1), 100)
        assert all(self._take(buckets, 1_000_000 + tick * 0.1) for tick in range(10_000))

    def test_keys_have_buckets_of_their_own(self) -> None:
        buckets = Buckets(Rate(1, 1), 100)
        assert self._take(buckets, 0.0, "a")
        assert self._take(buckets, 0.0, "b")

    def test_asking_for_more_than_a_full_bucket_takes_all_it_has(self) -> None:
        buckets = Buckets(Rate(1, 5), 100)
        assert buckets.allows("a", 1_000, 0.0)
        buckets.take("a", 1_000, 0.0)
        assert not buckets.allows("a", 1, 0.0)
        assert buckets.allows("a", 1, 1.0)

    def test_memory_is_bounded_and_the_longest_unused_goes_first(self) -> None:
        buckets = Buckets(Rate(1, 1), 3)
        for key in ("a", "b", "c", "a", "d"):
            buckets.take(key, 1, 0.0)
        assert len(buckets) == 3
        assert [buckets.allows(key, 1, 0.0) for key in "abcd"] == [False, True, False, False]

    @staticmethod
    def _take(buckets: Buckets, now_s: float, key: str = "a") -> bool:
        if not buckets.allows(key, 1, now_s):
            return False
        buckets.take(key, 1, now_s)
        return True


class TestPublishes:
    async def test_beyond_the_burst_they_are_refused_until_time_passes(self) -> None:
        async with open_bench(limits("publish", session=(1, 3))) as bench:
            client = await bench.client()
            assert await publishes(client, 4) == [True, True, True, False]
            assert (await client.publish("/a"))["error"] == "429:/a:too_many_publishes"
            bench.clock.advance(1)
            assert await publishes(client, 2) == [True, False]
            assert refused(bench, "publish", "session") == 3

    async def test_a_user_has_one_limit_for_all_sessions(self) -> None:
        async with open_bench(limits("publish", user=(1, 3))) as bench:
            here, there = BenchClient(bench, user="sarah"), BenchClient(bench, user="sarah")
            other = BenchClient(bench, user="omar")
            for client in (here, there, other):
                await client.handshake()
            assert await publishes(here, 2) == [True, True]
            assert await publishes(there, 2) == [True, False]
            assert await publishes(other, 2) == [True, True]

    async def test_an_address_has_one_limit_for_all_its_sessions(self) -> None:
        async with open_bench(limits("publish", address=(1, 3))) as bench:
            near = [BenchClient(bench, address="2001:db8::1"), BenchClient(bench, address="2001:db8::2")]
            far = BenchClient(bench, address="2001:db8:1::1")
            for client in (*near, far):
                await client.handshake()
            assert await publishes(near[0], 2) == [True, True]
            assert await publishes(near[1], 2) == [True, False]
            assert await publishes(far, 2) == [True, True]

    async def test_what_one_scope_refuses_costs_the_others_nothing(self) -> None:
        async with open_bench(limits("publish", session=(1, 1), address=(0.001, 3))) as bench:
            greedy, modest = await bench.client(), await bench.client()
            await publishes(greedy, 10)
            assert await publishes(modest, 1) == [True]

    async def test_a_message_in_a_batch_is_refused_by_itself(self) -> None:
        async with open_bench(limits("publish", session=(1, 1))) as bench:
            client = await bench.client()
            messages = [{"channel": "/a", "clientId": client.id, "id": str(n), "data": n} for n in range(3)]
            exchange = await bench.request(*messages)
        assert [reply["successful"] for reply in exchange.replies] == [True, False, False]

    async def test_no_limit_means_none(self) -> None:
        async with open_bench(limits("publish", session=(0, 1))) as bench:
            assert all(await publishes(await bench.client(), 50))


class TestSubscriptions:
    async def test_every_member_of_a_list_counts(self) -> None:
        async with open_bench(limits("subscribe", session=(1, 5))) as bench:
            client = await bench.client()
            assert (await client.subscribe(["/1", "/2", "/3"]))["successful"]
            reply = await client.subscribe(["/4", "/5", "/6"])
            assert reply["error"] == "429:/4:too_many_subscriptions"
            assert (await client.subscribe(["/4", "/5"]))["successful"]
            assert refused(bench, "subscribe", "session") == 1

    async def test_connects_and_unsubscribes_are_free(self) -> None:
        async with open_bench(limits("subscribe", session=(1, 1))) as bench:
            client = await bench.client()
            for _ in range(5):
                assert (await client.send("/meta/unsubscribe", subscription="/a")).reply["successful"]
                assert (await client.connect(advice={"timeout": 0})).reply["successful"]


class TestHandshakes:
    async def test_beyond_the_limit_of_an_address_they_are_shed_and_no_session_is_made(self) -> None:
        async with open_bench(limits("handshake", address=(1, 2))) as bench:
            for _ in range(2):
                await bench.client()
            with pytest.raises(Overloaded, match="too_many_handshakes_of_address"):
                await bench.client()
            assert len(bench.server.core.sessions) == 2
            assert refused(bench, "handshake", "address") == 1
            bench.clock.advance(1)
            assert (await bench.client()).id

    async def test_a_user_has_a_limit_too(self) -> None:
        async with open_bench(limits("handshake", user=(1, 1))) as bench:
            await BenchClient(bench, user="sarah").handshake()
            with pytest.raises(Overloaded, match="too_many_handshakes_of_user"):
                await BenchClient(bench, user="sarah").handshake()
            assert await BenchClient(bench, user="omar").handshake()
            assert await BenchClient(bench).handshake()

    async def test_an_office_of_500_that_comes_back_at_once_gets_in_by_default(self) -> None:
        async with open_bench({"extensions": {"rate_limit": {}}}) as bench:
            for _ in range(500):
                client = await bench.client()
                assert (await client.subscribe([f"/{n}" for n in range(20)]))["successful"]


class TestSection:
    @pytest.mark.parametrize(
        ("section", "key"),
        [
            ({"publish": {"session": {"per_s": -1, "burst": 1}}}, "extensions.rate_limit.publish.session.per_s"),
            ({"publish": {"session": {"per_s": 1, "burst": 0}}}, "extensions.rate_limit.publish.session.burst"),
            ({"publish": {"sesion": {}}}, "unknown key extensions.rate_limit.publish.sesion"),
            ({"max_tracked": 0}, "extensions.rate_limit.max_tracked"),
        ],
    )
    async def test_a_mistake_is_refused_by_name(self, section: Any, key: str) -> None:
        with pytest.raises(SettingsError, match=key):
            async with open_bench({"extensions": {"rate_limit": section}}):
                pass

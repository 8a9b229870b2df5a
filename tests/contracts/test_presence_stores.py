"""Presence and lock stores under their contracts, and the Redis scripts command by command against the pure core."""

import random
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from channels.locks.model import Holder, LockTimes
from channels.locks.store import LockStore
from channels.presence.model import CursorPosition, Person, PresenceState, PresenceTimes
from channels.presence.store import PresenceStore
from extensions.presence.backends.memory import MemoryLockStore, MemoryPresenceStore
from extensions.presence.backends.redis import RedisLockStore, RedisPresenceStore
from tests.contracts import lock_store, presence_store
from tests.contracts.lock_store import LockStoreContract
from tests.contracts.presence_store import PresenceStoreContract, touch

BORN_S = 1_763_028_000.0


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator["Redis"]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


class TestMemoryPresenceStore(PresenceStoreContract):
    @pytest.fixture
    def store(self) -> PresenceStore:
        return MemoryPresenceStore(presence_store.TIMES)


class TestRedisPresenceStore(PresenceStoreContract):
    @pytest.fixture
    def store(self, redis: "Redis") -> PresenceStore:
        return RedisPresenceStore(redis, presence_store.TIMES, own_clock=False)


class TestMemoryLockStore(LockStoreContract):
    @pytest.fixture
    def store(self) -> LockStore:
        return MemoryLockStore(lock_store.TIMES)


class TestRedisLockStore(LockStoreContract):
    @pytest.fixture
    def store(self, redis: "Redis") -> LockStore:
        return RedisLockStore(redis, lock_store.TIMES, own_clock=False)


class TestRedisAgreesWithThePureCore:
    """Random histories, the same on both sides, must give the same events, versions and snapshots."""

    @pytest.mark.parametrize("seed", range(6))
    async def test_presence(self, redis: "Redis", seed: int) -> None:
        rng = random.Random(seed)
        times = PresenceTimes(crowd=2, lease_ms=20_000)
        stores: list[PresenceStore] = [MemoryPresenceStore(times), RedisPresenceStore(redis, times, own_clock=False)]
        people = {f"s{n}": Person(f"u{n % 4}", f"User {n % 4}", "rsa") for n in range(7)}
        now_ms = 1_763_028_000_000
        for task in ("task_1", "task_2"):
            for store in stores:
                await store.snapshot(task, now_ms / 1000)
        for _ in range(250):
            now_ms += rng.choice((0, 1, 37, 99, 100, 2_500, 5_000, 12_000))
            session, task = rng.choice(sorted(people)), rng.choice(("task_1", "task_2"))
            state = rng.choice((None, *PresenceState))
            gone_for_s = rng.choice((0.0, 0.001, 1.0, 2.5))
            field = rng.choice(("notes", "title")) if state is PresenceState.TYPING else None
            cursor = rng.choice((None, CursorPosition("notes", rng.randrange(9))))
            sign = touch(people[session], session, state, field, cursor, task)
            act = rng.choice(("touch", "touch", "touch", "leave", "lose", "resume", "leave_all", "flush", "flush"))
            results: list[object] = []
            for store in stores:
                now_s = now_ms / 1000
                if act == "touch":
                    await store.touch(sign, now_s)
                elif act == "leave":
                    await store.leave(task, session, now_s)
                elif act == "flush":
                    results.append(sorted((await store.flush(now_s)).events, key=lambda e: (e.task_id, e.version)))
                elif act == "resume":
                    results.append(await store.resume(session, now_s))
                elif act == "lose":
                    await store.lose(session, now_s, gone_for_s)
                else:
                    await getattr(store, act)(session, now_s)
                results.append(await store.snapshot(task, now_s))
            assert results[: len(results) // 2] == results[len(results) // 2 :]

    @pytest.mark.parametrize("seed", range(6))
    async def test_locks(self, redis: "Redis", seed: int) -> None:
        rng = random.Random(seed)
        times = LockTimes(locks_per_session=3)
        stores: list[LockStore] = [MemoryLockStore(times), RedisLockStore(redis, times, own_clock=False)]
        holders = {f"s{n}": Holder(f"s{n}", f"u{n % 3}", f"User {n % 3}") for n in range(5)}
        now_ms = 1_763_028_000_000
        for _ in range(300):
            now_ms += rng.choice((0, 1, 999, 5_000, 12_000, 18_000))
            session, task, field = rng.choice(sorted(holders)), rng.choice(("t1", "t2")), rng.choice(("a", "b", "c"))
            act = rng.choice(("acquire", "acquire", "take_over", "release", "release_task", "renew", "lose", "resume"))
            expires = rng.random() < 0.3
            results: list[object] = []
            for store in stores:
                results.append(await _act(store, act, task, field, holders[session], now_ms / 1000))
                if expires:
                    changes, _ = await store.expire(now_ms / 1000)
                    results.append(sorted(changes, key=lambda change: (change.task_id, change.token)))
                results.append(dict(await store.of_task(task, now_ms / 1000)))
            assert results[: len(results) // 2] == results[len(results) // 2 :]


async def _act(store: LockStore, act: str, task: str, field: str, holder: Holder, now_s: float) -> object:
    try:
        if act in {"acquire", "take_over"}:
            return await getattr(store, act)(task, field, holder, now_s)
        if act == "release":
            return list(await store.release(task, field, holder.session_id, now_s))
        if act in {"release_task", "renew"}:
            return await getattr(store, act)(task, holder.session_id, now_s)
        return await getattr(store, act)(holder.session_id, now_s)
    except Exception as error:
        return type(error)


class TestRedisTellsTheTime:
    async def test_a_node_with_a_wrong_clock_ends_nobodys_presence(self, redis: "Redis") -> None:
        right, wrong = RedisPresenceStore(redis), RedisPresenceStore(redis)
        await right.touch(touch(), BORN_S)
        flushed = await wrong.flush(BORN_S * 2)
        assert flushed.events == []
        assert (await right.snapshot("task_1", 0)).version > BORN_S * 1000

    async def test_a_node_with_a_wrong_clock_sees_a_held_lock_as_held(self, redis: "Redis") -> None:
        locks = RedisLockStore(redis)
        await locks.acquire("task_1", "notes", Holder("s1", "cc_456", "Sarah"), BORN_S)
        for now_s in (BORN_S - 3600, BORN_S * 2):
            lock = (await locks.of_task("task_1", now_s))["notes"]
            assert lock.held_by(round(now_s * 1000)) is not None
            assert lock.held_by(round((now_s + 31) * 1000)) is None

    async def test_every_key_expires_by_itself(self, redis: "Redis") -> None:
        presence, locks = RedisPresenceStore(redis), RedisLockStore(redis)
        await presence.touch(touch(state=PresenceState.EDITING), BORN_S)
        await locks.acquire("task_1", "notes", Holder("s1", "cc_456", "Sarah"), BORN_S)
        shared = {b"{careapp}:presence:due", b"{careapp}:locks:due", b"{careapp}:locks:outbox"}
        for key in set(await redis.keys("*")) - shared:
            assert await redis.pttl(key) > 0, key

"""Presence and field locks as an extension: ``presence`` in the entry points, ``[extensions.presence]`` in the file.

Other parts find in the web application :data:`PRESENCE`, whose ``service`` takes the audit of take-overs and the check
of who may edit, and :data:`LOCK_GUARD`, which is asked before a task is written.
"""

from functools import partial
from typing import Annotated, Final, Literal

from aiohttp import web
from msgspec import Meta, Struct
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from bayeux_server.host import ExtensionContext
from channels.locks.guard import LockGuard, LockMode, NoLocks, StoreLockGuard
from channels.locks.model import LockTimes
from channels.locks.store import LockStore
from channels.presence.model import PresenceTimes
from channels.presence.store import PresenceStore
from extensions.presence.backends.memory import MemoryLockStore, MemoryPresenceStore
from extensions.presence.backends.redis import RedisLockStore, RedisPresenceStore
from extensions.presence.connections import GAP_S
from extensions.presence.extension import PresenceExtension
from extensions.presence.metrics import count
from extensions.presence.service import PresenceService
from extensions.presence.teller import Teller

Milliseconds = Annotated[int, Meta(ge=100, le=86_400_000)]

#: A Redis that hangs is away: whoever waits for it gets an answer.
_REDIS_TIMEOUT_S: Final = 3.0


class PresenceConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[extensions.presence]``.

    Attributes:
        store: Where presence and locks are kept: ``memory`` for one node, ``redis`` for several.
        redis_url: Which Redis.
        redis_prefix: First part of its keys; braces keep them on one node of a cluster.
        lease_ms: Life of a presence without a heartbeat.
        typing_ms: How long typing outlasts the last keystroke.
        grace_ms: How long a lost connection is not told.
        window_ms: Changes within it are told together.
        crowd: Above this many people on a task, counts are told instead of names.
        locks: ``enforced`` refuses other people's writes, ``advisory`` only warns, ``off`` gives no locks.
        lock_lease_ms: Life of a lock without a sign of life.
        metrics_by_task: Label ``careapp_presence_active_users`` with the task, as the design has it.
    """

    store: Literal["memory", "redis"] = "memory"
    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_prefix: str = "{careapp}"
    lease_ms: Milliseconds = 300_000
    typing_ms: Milliseconds = 5_000
    grace_ms: Milliseconds = 12_000
    window_ms: Annotated[int, Meta(ge=0, le=10_000)] = 100
    crowd: Annotated[int, Meta(ge=1, le=100_000)] = 200
    locks: Literal["enforced", "advisory", "off"] = "enforced"
    lock_lease_ms: Milliseconds = 30_000
    metrics_by_task: bool = False


PRESENCE: Final = web.AppKey("presence", PresenceExtension)
LOCK_GUARD: Final = web.AppKey("lock_guard", LockGuard)


def presence(context: ExtensionContext) -> PresenceExtension:
    """Return the extension as its section says.

    Raises:
        SettingsError: Naming the key that cannot be used.
    """
    config = context.read_config(PresenceConfig)
    clock = context.server.core.clock
    presence_store, lock_store, lock_times = _stores(context, config)
    teller = Teller(presence_store, lock_store, partial(context.server.publish, kept=False), clock.wall)
    extension = PresenceExtension(
        context.server,
        PresenceService(
            presence_store,
            lock_store,
            teller,
            wall=clock.wall,
            wake=lambda in_s: extension.wake(in_s),
            lock_times=lock_times,
            locks_given=config.locks != "off",
        ),
        teller,
        gap_s=min(GAP_S, config.grace_ms / 2_000),
        lease_s=config.lease_ms / 1_000,
    )
    count(context.registry, extension, teller, by_task=config.metrics_by_task)
    context.add_readiness("presence", extension.unready)
    context.app[PRESENCE] = extension
    context.app[LOCK_GUARD] = (
        NoLocks() if config.locks == "off" else StoreLockGuard(lock_store.of_task, clock.wall, LockMode(config.locks))
    )
    return extension


def _stores(context: ExtensionContext, config: PresenceConfig) -> tuple[PresenceStore, LockStore, LockTimes]:
    times = PresenceTimes(
        lease_ms=config.lease_ms,
        typing_ms=config.typing_ms,
        grace_ms=config.grace_ms,
        window_ms=config.window_ms,
        crowd=config.crowd,
    )
    # Holders are asked to renew three times in a lease, so that two renewals may be lost.
    lock_times = LockTimes(
        lease_ms=config.lock_lease_ms, grace_ms=config.grace_ms, renew_every_ms=config.lock_lease_ms // 3
    )
    if config.store == "memory":
        return MemoryPresenceStore(times), MemoryLockStore(lock_times), lock_times
    redis = Redis.from_url(
        config.redis_url,
        socket_timeout=_REDIS_TIMEOUT_S,
        socket_connect_timeout=_REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),  # once more, as a restart leaves dead connections behind
    )

    async def close(_app: web.Application) -> None:
        await redis.aclose()

    context.app.on_cleanup.append(close)
    return (
        RedisPresenceStore(redis, times, prefix=f"{config.redis_prefix}:presence"),
        RedisLockStore(redis, lock_times, prefix=f"{config.redis_prefix}:locks"),
        lock_times,
    )

"""Clients of Redis as the adapters want them, and Redis's errors as the ports want them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

COMMAND_TIMEOUT_S: Final = 3.0
CONNECT_TIMEOUT_S: Final = 3.0


def writer(url: str) -> "Redis":
    """Return a client whose commands end soon. A command is tried twice: a restart leaves dead connections behind."""
    return Redis.from_url(
        url,
        socket_timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 1),
    )


def blocking_reader(url: str) -> "Redis":
    """Return a client for commands that wait. With a time-out of its own it would give up in the middle of them."""
    return Redis.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
    )


async def end(task: "asyncio.Task[None]") -> None:
    """Cancel a task that uses Redis, and wait until it has ended.

    Asked once, redis-py 8.1 goes on now and then as if nothing had been said (one time in five, measured).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)


@contextmanager
def as_os_error() -> Iterator[None]:
    """Turn Redis's errors, which are no ``OSError``, into one."""
    try:
        yield
    except RedisError as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from error

"""One Lua script of many operations, loaded once and called by its hash."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from channels.presence.model import to_ms


class Script:
    """A packaged script whose keys all share one prefix.

    Args:
        redis: A client that returns bytes (``decode_responses=False``).
        parts: Files beside this module, which together are the script.
        prefix: First part of every key, with a hash tag so that a cluster keeps them together.
        conf: Times and bounds, the same for every call.
        own_clock: Let Redis tell the time, so that nodes whose clocks differ agree on what has expired. Otherwise the
            time given to each call counts.
    """

    def __init__(
        self, redis: "Redis", parts: Sequence[str], prefix: str, conf: Mapping[str, int], *, own_clock: bool
    ) -> None:
        self.redis = redis
        self.prefix = prefix
        folder = files("extensions.presence.backends")
        self._script = redis.register_script("\n".join(folder.joinpath(part).read_text("utf-8") for part in parts))
        self._conf = json.dumps(dict(conf))
        self._own_clock = own_clock

    async def __call__(self, operation: str, now_s: float, arguments: Mapping[str, object]) -> Any:
        """Run one operation; return Redis's reply.

        Raises:
            OSError: Redis cannot be reached; the operation may or may not have been done.
            redis.exceptions.ResponseError: The script refused; its first word is ``LIMIT`` for a bound.
        """
        now_ms = -1 if self._own_clock else to_ms(now_s)
        with _away_as_os_error():
            return await self._script([self.prefix], [operation, self._conf, now_ms, json.dumps(arguments)])

    async def settle(self, event_ids: tuple[str, ...]) -> None:
        """Forget entries of the outbox. Raises as a call does."""
        if event_ids:
            with _away_as_os_error():
                await self.redis.hdel(f"{self.prefix}:outbox", *event_ids)


@contextmanager
def _away_as_os_error() -> Iterator[None]:
    try:
        yield
    except ResponseError:
        raise  # it is there, and says no
    except RedisError as error:
        raise ConnectionError(type(error).__name__) from error

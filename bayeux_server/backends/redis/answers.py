"""Answers that nodes share: a retry may reach another one."""

from hashlib import sha256

import msgpack

from bayeux_server.backends.redis.clients import as_os_error, writer
from bayeux_server.ports import Answer, Kept


class RedisAnswers:
    """Keeps answers in Redis. See :class:`bayeux_server.ports.Answers`.

    Args:
        url: Of the Redis server.
        prefix: Begins the name of every key.
        keep_s: Seconds an answer is kept.
        patience_s: Seconds after which a request without an answer is taken for lost with its node.
    """

    def __init__(self, url: str, prefix: str, *, keep_s: int = 86_400, patience_s: int = 300) -> None:
        self._url = url
        self._prefix = f"{prefix}answer:"
        self._keep_s = keep_s
        self._patience_s = patience_s

    async def start(self) -> None:
        """See :meth:`Answers.start`."""
        self._redis = writer(self._url)

    async def begin(self, user_id: str, key: str, body_hash: bytes) -> Kept | None:
        """See :meth:`Answers.begin`."""
        under_way = msgpack.packb([body_hash, None])
        with as_os_error():
            found = await self._redis.set(self._name(user_id, key), under_way, nx=True, get=True, ex=self._patience_s)
        if found is None:
            return None
        known_hash, answer = msgpack.unpackb(found)
        return Kept(known_hash, None if answer is None else tuple(answer))

    async def end(self, user_id: str, key: str, body_hash: bytes, answer: Answer | None) -> None:
        """See :meth:`Answers.end`."""
        name = self._name(user_id, key)
        with as_os_error():
            if answer is None:
                await self._redis.delete(name)
            else:
                await self._redis.set(name, msgpack.packb([body_hash, answer]), ex=self._keep_s)

    async def stop(self) -> None:
        """See :meth:`Answers.stop`."""
        await self._redis.aclose()

    def _name(self, user_id: str, key: str) -> str:
        return self._prefix + sha256(f"{len(user_id)}:{user_id}{key}".encode()).hexdigest()

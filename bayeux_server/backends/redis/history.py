"""A history that nodes share and that outlives them: a Redis stream for each channel."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from bayeux_server.backends.redis.batches import Batches
from bayeux_server.backends.redis.clients import as_os_error, end, writer
from bayeux_server.ports import MAX_STEP, Page, Place, Position
from bayeux_server.protocol.channel_id import ChannelId

log = structlog.get_logger()

PING_INTERVAL_S: Final = 5.0
STOP_TIMEOUT_S: Final = 5.0
#: The highest that Redis knows; clients may ask for any.
MAX_ID: Final = 2**64 - 1

#: KEYS: the index, this node's last batch, a stream for each item.
#: ARGV: the batch, the most entries, milliseconds an idle channel is kept, the highest id this node was given, the
#: greatest step, a random number, then name and data of each item.
#: Entry ids are 0-ID; each entry has its data (d) and the id of the one before it (p). Answers with both ids of each
#: item. A batch that is sent again because its reply was lost gets the ids it was given.
#: Redis's clock may be behind ids given before: it was set, or this is a replica that took over. And a batch has but
#: one time. The steps are seeded from outside: from the clock, which the ids show, they could be worked out.
_APPEND: Final = """
local said = redis.call('GET', KEYS[2])
if said then
  local batch, ids = string.match(said, '^(%d+):(.*)$')
  if batch == ARGV[1] then
    local found = {}
    for id in string.gmatch(ids, '%d+') do found[#found + 1] = id end
    return found
  end
end
math.randomseed(tonumber(ARGV[6]))
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lasts, ids = {}, {}
for i = 3, #KEYS do
  local key, name, data = KEYS[i], ARGV[2 * i + 1], ARGV[2 * i + 2]
  local last = lasts[key]
  if not last then
    local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    last = newest and tonumber(string.sub(newest[1], 3)) or 0
    if not newest then redis.call('ZADD', KEYS[1], 0, name) end
  end
  local id, highest = now, math.max(last, tonumber(ARGV[4]))
  if id <= highest then id = highest + math.random(tonumber(ARGV[5])) end
  local id_text, last_text = string.format('%.0f', id), string.format('%.0f', last)
  redis.call('XADD', key, 'MAXLEN', '=', ARGV[2], '0-' .. id_text, 'd', data, 'p', last_text)
  redis.call('PEXPIRE', key, ARGV[3])
  lasts[key] = id
  ids[#ids + 1] = id_text
  ids[#ids + 1] = last_text
end
redis.call('SET', KEYS[2], ARGV[1] .. ':' .. table.concat(ids, ','), 'PX', 3600000)
return ids
"""


class RedisHistory:
    """Keeps publications in Redis. See :class:`bayeux_server.ports.History`.

    Args:
        url: Of the Redis server.
        prefix: Begins the name of every key.
        max_messages: Kept per channel.
        max_idle_s: Seconds after its last publication that a channel is forgotten.
    """

    def __init__(self, url: str, prefix: str, *, max_messages: int, max_idle_s: int = 604_800) -> None:
        self._url = url
        self._prefix = f"{{{prefix}history}}"
        self._batch = f"{self._prefix}:batch:{secrets.token_hex(8)}"
        self._max_messages = max_messages
        self._max_idle_ms = max_idle_s * 1_000
        self._batches_sent = 0
        self._highest_id = 0
        self._trouble: str | None = "not started"
        self._pinging: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See :meth:`History.start`."""
        self._redis = writer(self._url)
        self._append = self._redis.register_script(_APPEND)
        self._batches: Batches[tuple[str, bytes], Place] = Batches(self._send, lambda item: len(item[1]))
        try:
            with as_os_error():
                await self._redis.ping()
        except OSError:
            await self._redis.aclose()
            raise
        self._trouble = None
        self._pinging = asyncio.create_task(self._ping())

    async def append(self, channel: ChannelId, data: bytes) -> Place:
        """See :meth:`History.append`."""
        return await self._batches.add((channel.name, data))

    async def after(self, channel: ChannelId, last_id: int, limit: int) -> Page:
        """See :meth:`History.after`."""
        key = self._key(channel.name)
        with as_os_error():
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.xrange(key, f"0-{min(last_id, MAX_ID)}", "+", limit + 1)
                pipeline.xrange(key, count=1)
                found, oldest = await pipeline.execute()
        entries = [Position(_id(entry_id), fields[b"d"]) for entry_id, fields in found]
        if entries and entries[0].id == last_id:
            return Page(entries[1:], complete=True)
        was_just_dropped = bool(oldest) and _previous_id(*oldest[0]) == last_id
        return Page(entries[:limit], complete=last_id == 0 or was_just_dropped)

    async def last_id(self, channel: ChannelId) -> int:
        """See :meth:`History.last_id`."""
        with as_os_error():
            newest: Any = await self._redis.xrevrange(self._key(channel.name), count=1)
        return _id(newest[0][0]) if newest else 0

    async def channels(self, pattern: ChannelId, limit: int) -> Sequence[str]:
        """See :meth:`History.channels`."""
        parent = pattern.name.rstrip("*").encode()
        deep = pattern.segments[-1] == "**"
        found: list[str] = []
        start = b"[" + parent
        with as_os_error():
            while len(found) < limit:
                names: Any = await self._redis.zrangebylex(
                    self._index, start, b"(" + parent + b"\xff", start=0, num=limit
                )
                if not names:
                    break
                start = b"(" + names[-1]
                matching = [name for name in names if deep or b"/" not in name[len(parent) :]]
                found += await self._living(matching)
        return found[:limit]

    async def stop(self) -> None:
        """See :meth:`History.stop`."""
        if self._pinging is None:
            return
        await self._batches.close(STOP_TIMEOUT_S)
        await end(self._pinging)
        self._pinging = None
        self._trouble = "stopped"
        await self._redis.aclose()

    def unready(self) -> str | None:
        """See :meth:`History.unready`."""
        return self._trouble

    @property
    def _index(self) -> str:
        return f"{self._prefix}:channels"

    def _key(self, name: str) -> str:
        return f"{self._prefix}:of:{name}"

    async def _send(self, items: Sequence[tuple[str, bytes]]) -> Sequence[Place]:
        self._batches_sent += 1
        keys = [self._index, self._batch, *(self._key(name) for name, _ in items)]
        arguments: list[Any] = [self._batches_sent, self._max_messages, self._max_idle_ms]
        arguments += (self._highest_id, MAX_STEP, secrets.randbits(31))
        for name, data in items:
            arguments += (name, data)
        with as_os_error():
            ids = [int(each) for each in await self._append(keys=keys, args=arguments)]
        self._highest_id = max(self._highest_id, *ids)
        return [Place(*pair) for pair in zip(ids[::2], ids[1::2], strict=True)]

    async def _living(self, names: Sequence[bytes]) -> list[str]:
        """Return those that have not been forgotten since, and forget the others in the index, too."""
        if not names:
            return []
        async with self._redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.exists(self._key(name.decode()))
            exist = await pipeline.execute()
        gone = [name for name, exists in zip(names, exist, strict=True) if not exists]
        if gone:
            await self._redis.zrem(self._index, *gone)
        return [name.decode() for name, exists in zip(names, exist, strict=True) if exists]

    async def _ping(self) -> None:
        """Ask after Redis until cancelled, so that readiness is known though nobody publishes."""
        while True:
            await asyncio.sleep(PING_INTERVAL_S)
            try:
                with as_os_error():
                    await self._redis.ping()
            except OSError as error:
                if self._trouble is None:
                    log.warning("history.down", error=str(error).partition(":")[0])
                self._trouble = "Redis does not answer"
            else:
                if self._trouble is not None:
                    log.info("history.recovered")
                self._trouble = None


def _id(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[2])


def _previous_id(entry_id: bytes, fields: Mapping[bytes, bytes]) -> int:
    """Return the id before an entry's. Ids rose by one when entries did not say it."""
    return int(fields[b"p"]) if b"p" in fields else _id(entry_id) - 1

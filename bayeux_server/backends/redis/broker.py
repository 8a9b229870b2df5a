"""A broker between nodes: one Redis stream that every node reads.

Redis's publish/subscribe loses messages without a word while a connection is down. A stream is read on from where one
was. What can still be lost, with Redis's memory or by trimming, shows in the numbers the publications carry: they rise
by one, and where they do not, there is a gap, which is logged and told to :attr:`RedisBroker.on_gap`.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import uniform
from typing import Any, Final

import msgpack
import structlog
from redis.exceptions import RedisError

from bayeux_server.backends.redis.batches import Batches
from bayeux_server.backends.redis.clients import as_os_error, blocking_reader, end, writer
from bayeux_server.errors import LocalError
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication

log = structlog.get_logger()

BLOCK_MS: Final = 5_000
#: Beyond the block a reply is overdue: the link is half open, or Redis hangs.
READ_TIMEOUT_S: Final = BLOCK_MS / 1_000 + 5.0
READ_COUNT: Final = 500
MIN_BACKOFF_S: Final = 0.05
MAX_BACKOFF_S: Final = 5.0
STOP_TIMEOUT_S: Final = 5.0

#: KEYS: the stream, its number, the publisher's last batch. ARGV: the batch, the most entries to keep, the bodies.
#: A batch that is sent again because its reply was lost is not added again.
_ADD: Final = """
if redis.call('GET', KEYS[3]) == ARGV[1] then return 0 end
for i = 3, #ARGV do
  local number = redis.call('INCR', KEYS[2])
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'n', number, 'b', ARGV[i])
end
redis.call('SET', KEYS[3], ARGV[1], 'PX', 3600000)
return 1
"""


class RedisBroker:
    """Carries publications over a Redis stream. See :class:`bayeux_server.ports.Broker`.

    Args:
        url: Of the Redis server, such as ``redis://host:6379/0``.
        prefix: Begins the name of every key.
        max_messages: About how many publications the stream keeps for nodes that were cut off.
    """

    def __init__(self, url: str, prefix: str, *, max_messages: int = 100_000) -> None:
        self._url = url
        self._stream = f"{{{prefix}broker}}:stream"
        self._number = f"{{{prefix}broker}}:number"
        self._batch = f"{{{prefix}broker}}:batch:{secrets.token_hex(8)}"
        self._max_messages = max_messages
        self.on_gap: list[Callable[[int | None], None]] = []
        self._on_publication: Callable[[Publication], None] | None = None
        self._batches_sent = 0
        self._position = "0-0"
        #: Number of the last publication read, None where the next one is taken as it comes.
        self._last_number: int | None = None
        self._trouble: str | None = "not started"
        self._reading: asyncio.Task[None] | None = None

    async def start(self, on_publication: Callable[[Publication], None]) -> None:
        """See :meth:`Broker.start`."""
        self._writer, self._reader = writer(self._url), blocking_reader(self._url)
        self._add = self._writer.register_script(_ADD)
        self._batches: Batches[bytes, None] = Batches(self._send, len)
        try:
            with as_os_error():
                await self._find_end()
        except OSError:
            await self._close()
            raise
        self._on_publication = on_publication
        self._trouble = None
        self._reading = asyncio.create_task(self._read())

    async def publish(self, publication: Publication) -> None:
        """See :meth:`Broker.publish`.

        Raises:
            LocalError: If it was not started, or is stopped.
        """
        if self._on_publication is None:
            raise LocalError("the broker is not running")
        await self._batches.add(_pack(publication))

    async def stop(self) -> None:
        """See :meth:`Broker.stop`."""
        if self._on_publication is None:
            return
        await self._batches.close(STOP_TIMEOUT_S)
        self._on_publication = None
        self._trouble = "stopped"
        if self._reading is not None:
            await end(self._reading)
        await self._close()

    def unready(self) -> str | None:
        """See :meth:`Broker.unready`."""
        return self._trouble

    async def _close(self) -> None:
        await self._writer.aclose()
        await self._reader.aclose()

    # ---- out

    async def _send(self, bodies: Sequence[bytes]) -> Sequence[None]:
        self._batches_sent += 1
        with as_os_error():
            await self._add(
                keys=[self._stream, self._number, self._batch], args=[self._batches_sent, self._max_messages, *bodies]
            )
        return [None] * len(bodies)

    # ---- in

    async def _find_end(self) -> None:
        """Begin behind what is there."""
        number = int(await self._writer.get(self._number) or 0)
        newest: Any = await self._writer.xrevrange(self._stream, count=1)
        if newest:
            entry_id, fields = newest[0]
            self._position, number = entry_id.decode(), int(fields[b"n"])
        self._last_number = number

    async def _read(self) -> None:
        """Read until cancelled. Whatever happens is told and tried again: a listener must not die in silence."""
        backoff_s = 0.0
        while True:
            try:
                if self._trouble is not None:
                    await self._resume()
                    backoff_s = 0.0
                await self._read_once()
            except Exception as error:
                if self._trouble is None:
                    log.warning("broker.down", error=type(error).__name__)
                if not isinstance(error, (RedisError, OSError)):
                    log.exception("broker.failed")
                self._trouble = f"Redis cannot be read: {type(error).__name__}"
                backoff_s = min(MAX_BACKOFF_S, max(MIN_BACKOFF_S, backoff_s * 2))
                await asyncio.sleep(uniform(backoff_s / 2, backoff_s))

    async def _resume(self) -> None:
        async with asyncio.timeout(READ_TIMEOUT_S):
            recovered = await self._look_for_loss()
        self._trouble = None
        log.info("broker.recovered", recovered=recovered)

    async def _read_once(self) -> None:
        async with asyncio.timeout(READ_TIMEOUT_S):
            found = await self._reader.xread({self._stream: self._position}, count=READ_COUNT, block=BLOCK_MS)
        if not found:
            await self._look_for_loss()
            return
        for entry_id, fields in _entries(found):
            self._take(fields)
            self._position = entry_id.decode()

    def _take(self, fields: Mapping[bytes, bytes]) -> None:
        number = int(fields[b"n"])
        expected = None if self._last_number is None else self._last_number + 1
        self._last_number = number
        if expected is not None and number != expected:
            self._tell_gap(number - expected if number > expected else None)
        try:
            publication = _unpack(fields[b"b"])
        except (ValueError, TypeError, msgpack.UnpackException):
            log.exception("broker.entry_unreadable")
            return
        if self._on_publication is not None:
            try:
                self._on_publication(publication)
            except Exception:
                log.exception("broker.listener_failed")

    async def _look_for_loss(self) -> bool:
        """See whether Redis went back behind what we read. Returns False, and tells the gap, if it did."""
        number = int(await self._writer.get(self._number) or 0)
        newest: Any = await self._writer.xrevrange(self._stream, count=1)
        end = newest[0][0].decode() if newest else "0-0"
        if _ordered(end) < _ordered(self._position):
            self._position = end
        if self._last_number is None or number >= self._last_number:
            return True
        self._last_number = None
        self._tell_gap(None)
        return False

    def _tell_gap(self, lost: int | None) -> None:
        log.error("broker.gap", recovered=False, lost=lost)
        for listener in self.on_gap:
            try:
                listener(lost)
            except Exception:
                log.exception("broker.listener_failed")


def _entries(found: Any) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
    """Return the entries of the one stream in a reply of XREAD, in either form the client may give it."""
    if isinstance(found, Mapping):
        (batches,) = found.values()
        return [entry for batch in batches for entry in batch]
    entries: list[tuple[bytes, Mapping[bytes, bytes]]] = found[0][1]
    return entries


def _ordered(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def _pack(publication: Publication) -> bytes:
    ext = None if publication.ext is None else dict(publication.ext)
    body: bytes = msgpack.packb([publication.channel.name, publication.data, ext, publication.lazy])
    return body


def _unpack(body: bytes) -> Publication:
    name, data, ext, lazy = msgpack.unpackb(body)
    return Publication(_channel(name), data, ext, lazy)


@lru_cache(maxsize=65_536)
def _channel(name: str) -> ChannelId:
    """Return a channel whose name some node's grammar has passed."""
    return ChannelId(name, tuple(name.split("/")[1:]))

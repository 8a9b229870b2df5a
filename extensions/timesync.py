"""Lets a client learn how far its clock is from the server's.

The client sends ``ext.timesync`` with ``tc`` (its time), ``l`` (lag) and ``o`` (offset) as it knows them; the reply has
``tc`` again, ``ts`` (server time when the message came), ``p`` (how long the answer took) and ``a`` (how wrong the
client was: ``tc + o + l - ts``). All in milliseconds.

Source: CometD's reference, "Time synchronization extension".
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET

from bayeux_server.host import ExtensionContext
from bayeux_server.protocol.messages import Message, Reply
from bayeux_server.server.clock import Clock
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from extensions.sections import NoKeys

#: Milliseconds since 1970 that no clock shows; beyond, arithmetic would leave what JSON can say.
_FARTHEST_MS: Final = 1e15
#: A message whose connection was cut gets no reply: what waits for it must not pile up.
_MAX_PENDING: Final = 8

_Key = tuple[str, bytes | None]


class _Seen(msgspec.Struct, frozen=True):
    tc: float
    offset_ms: float
    lag_ms: float
    ts: int


class TimeSync(Extension):
    """Answers ``ext.timesync`` on any meta message of a session, the handshake included."""

    name = "timesync"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        """See :meth:`Extension.incoming_meta`."""
        asked = message.ext.get("timesync") if message.ext else None
        if session is None or not isinstance(asked, dict):
            return
        tc, lag_ms, offset_ms = (_number(asked.get(name, 0)) for name in ("tc", "l", "o"))
        if tc is None or lag_ms is None or offset_ms is None or "tc" not in asked:
            return
        pending: dict[_Key, _Seen] = session.attributes.setdefault(self.name, {})
        message_id = None if message.id is None else bytes(message.id)
        pending[message.channel.name, message_id] = _Seen(tc, offset_ms, lag_ms, self._now_ms())
        if len(pending) > _MAX_PENDING:
            del pending[next(iter(pending))]

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        """See :meth:`Extension.outgoing_meta`."""
        if session is None or reply.channel is UNSET:
            return
        pending: dict[_Key, _Seen] = session.attributes.get(self.name, {})
        seen = pending.pop((reply.channel, None if reply.id is UNSET else bytes(reply.id)), None)
        if seen is None:
            return
        wrong_ms = round(seen.tc + seen.offset_ms + seen.lag_ms - seen.ts)
        reply.extend(self.name, {"tc": seen.tc, "ts": seen.ts, "p": self._now_ms() - seen.ts, "a": wrong_ms})

    def _now_ms(self) -> int:
        return int(self._clock.wall() * 1_000)


def create(context: ExtensionContext) -> TimeSync:
    """Return the extension. Its section has no keys."""
    context.read_config(NoKeys)
    return TimeSync(context.server.core.clock)


def _number(value: Any) -> float | None:
    """Return a number as it is, so that ``tc`` goes back as it came; None for anything else."""
    if type(value) not in (int, float) or abs(value) > _FARTHEST_MS:
        return None
    number: float = value
    return number

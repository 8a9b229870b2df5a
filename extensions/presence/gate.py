"""Keeps changes of presence from a new subscriber until it was sent the snapshot they belong to."""

from typing import Final

import msgspec
from msgspec import Struct

from bayeux_server.server.clock import Clock
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import SessionExtension
from bayeux_server.server.session import ServerSession

#: For how long changes are kept back from who waits for a snapshot; who gets none in that time sees a gap, and asks.
#: For how long after it changes may be under way that it has already.
WAIT_S: Final = 10.0

_GATE: Final = "presence.gate"
_PRESENCE: Final = "presence."
_MARK: Final = b'"type":"presence.'


class _Told(Struct):
    """What matters here of an event. Cursors have no version."""

    type: str
    version: int = 0


class _Wait(Struct):
    """A channel whose changes are kept back.

    Attributes:
        until_s: When that is over in any case, by the server's clock.
        sent: Version of the snapshot that was sent; None before.
        highest: Highest version kept back.
    """

    until_s: float
    sent: int | None = None
    highest: int = 0


class Gate(SessionExtension):
    """The gate of one session; among the session's extensions only while it keeps something back.

    What is kept back is dropped: a snapshot that is read afterwards has it. So there is nothing to store, or to merge.
    """

    def __init__(self, session: ServerSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        #: By name of the channel; the one that is over first stands first.
        self._waits: dict[str, _Wait] = {}

    def close(self, name: str) -> None:
        """Keep the changes told on a channel back, until :meth:`open`."""
        if not self._waits:
            self._session.extensions = (*self._session.extensions, self)
        before = self._waits.get(name)
        self._put(name, _Wait(self._clock.now() + WAIT_S, highest=0 if before is None else before.highest))

    def is_behind(self, name: str, version: int) -> bool:
        """Say whether changes were kept back that a snapshot of that version does not have."""
        wait = self._waits.get(name)
        return wait is not None and wait.highest > version

    def open(self, name: str, version: int) -> None:
        """Let through what is newer than the snapshot, which was sent just now."""
        if name in self._waits:
            self._put(name, _Wait(self._clock.now() + WAIT_S, version))

    def outgoing(self, session: ServerSession, delivery: Delivery) -> Delivery | None:
        """See :meth:`SessionExtension.outgoing`."""
        self._forget_what_is_over()
        wait = self._waits.get(delivery.channel.name)
        told = None if wait is None else _told(delivery.data)
        if wait is None or told is None:
            return delivery
        if wait.sent is None:
            wait.highest = max(wait.highest, told.version)
            return None
        if told.version > wait.sent:
            # A channel keeps its order: what is in the snapshot came before.
            self._forget(delivery.channel.name)
        elif told.version:
            return None
        return delivery

    def _put(self, name: str, wait: _Wait) -> None:
        self._waits.pop(name, None)
        self._waits[name] = wait

    def _forget_what_is_over(self) -> None:
        now_s = self._clock.now()
        while (name := next(iter(self._waits), None)) is not None and self._waits[name].until_s <= now_s:
            self._forget(name)

    def _forget(self, name: str) -> None:
        del self._waits[name]
        if not self._waits:
            self._session.extensions = tuple(each for each in self._session.extensions if each is not self)


def gate_of(session: ServerSession, clock: Clock) -> Gate:
    """Return the gate of a session, newly if it must be."""
    gate: Gate = session.attributes.setdefault(_GATE, Gate(session, clock))
    return gate


def _told(data: bytes) -> _Told | None:
    # The search is much cheaper than decoding, and most events of a task are none of presence.
    if _MARK not in data:
        return None
    try:
        told = msgspec.json.decode(data, type=_Told)
    except msgspec.ValidationError:
        return None
    return told if told.type.startswith(_PRESENCE) else None

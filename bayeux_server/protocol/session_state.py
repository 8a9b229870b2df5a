"""The life of a session, as a table.

States and events are strings because those know their hash: that of a plain enumeration is computed by Python, twice
for each step of every session.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from bayeux_server.errors import LocalError


class State(StrEnum):
    """Where a session stands."""

    NEW = "new"
    WAITING = "waiting"
    HOLDING = "holding"
    CLOSED = "closed"


class Event(StrEnum):
    """What can happen to a session."""

    HANDSHAKE = "handshake"
    CONNECT = "connect"
    RELEASE = "release"
    DISCONNECT = "disconnect"
    EXPIRE = "expire"


TRANSITIONS: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        State.NEW: {Event.HANDSHAKE: State.WAITING, Event.DISCONNECT: State.CLOSED},
        State.WAITING: {
            Event.CONNECT: State.HOLDING,
            Event.DISCONNECT: State.CLOSED,
            Event.EXPIRE: State.CLOSED,
        },
        # A second /meta/connect supersedes the held one. No EXPIRE here: while we hold, the silence is ours.
        State.HOLDING: {
            Event.CONNECT: State.HOLDING,
            Event.RELEASE: State.WAITING,
            Event.DISCONNECT: State.CLOSED,
        },
        State.CLOSED: {},
    }
)


def after(state: State, event: Event) -> State:
    """Return the state that follows.

    Raises:
        LocalError: If the event cannot happen in that state; our bug, for what clients send is checked before.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise LocalError(f"a session that is {state.value} cannot {event.value}") from None

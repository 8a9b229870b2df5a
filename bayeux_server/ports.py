"""What the server needs from outside, as protocols. Each has two adapters at least and one contract suite for all."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication


class Broker(Protocol):
    """Carries publications between nodes.

    Every publication, local or remote, reaches this node through the callback given to :meth:`start`: one road, so one
    order per channel on every node.

    Contract: ``tests/contracts/broker.py``. An adapter that does not run it is not an adapter.

    Attributes:
        on_gap: Called when publications were lost on their way to this node, with their number, None if unknown.
    """

    on_gap: list[Callable[[int | None], None]]

    async def start(self, on_publication: Callable[[Publication], None]) -> None:
        """Begin to carry. ``on_publication`` is called on the event loop and returns at once.

        Raises:
            OSError: If the broker cannot be reached.
        """

    def publish(self, publication: Publication) -> Awaitable[None] | None:
        """Carry a publication to every node, this one included.

        Returns:
            None if it cannot be lost by us any more, else what to wait for until that is so.

        Raises:
            OSError: If the broker cannot be reached; the publication may or may not have been carried.
        """

    async def stop(self) -> None:
        """Stop carrying and release what is held."""

    def unready(self) -> str | None:
        """Return why it cannot carry now, None if it can."""


#: The most that an id lies above the last one of its channel where the clock does not.
MAX_STEP: Final = 64


class Position(msgspec.Struct, frozen=True):
    """A publication as the history keeps it. ``id`` rises within its channel."""

    id: int
    data: bytes


class Place(msgspec.Struct, frozen=True):
    """Where in its channel the history put a publication.

    Attributes:
        id: Its own.
        previous_id: Of the publication right before it, 0 if the history knows of none. Not for clients: who is shown
            both ids of two publications sees whether something hidden lies between.
    """

    id: int
    previous_id: int


class Page(msgspec.Struct, frozen=True):
    """What the history kept after a position.

    Attributes:
        entries: In order, oldest first.
        complete: False if publications after the position asked for are no longer kept: a gap. Always true for 0.
    """

    entries: Sequence[Position]
    complete: bool


class History(Protocol):
    """Keeps the latest publications of channels.

    An id is the wall clock in microseconds, or, where the clock is not above the channel's last id, that id and a
    random step of ``MAX_STEP`` at most: so ids tell nothing of how many publications lie between two of them, which may
    be hidden from who reads them. And a history that was lost begins again above every id it gave before, so that an
    old id is known to be too old, and never taken for a new one.

    Contract: ``tests/contracts/history.py``.
    """

    async def start(self) -> None:
        """Make ready.

        Raises:
            OSError: If the store cannot be reached.
        """

    async def append(self, channel: ChannelId, data: bytes) -> Place:
        """Keep a publication and return its place, above the channel's last.

        Raises:
            OSError: If the store cannot be reached.
        """

    async def after(self, channel: ChannelId, last_id: int, limit: int) -> Page:
        """Return up to ``limit`` publications whose ids are above ``last_id``; 0 for all that is kept.

        A position at which the channel has no publication, and did not just drop one, is a gap: nobody knows what came
        after it.

        Raises:
            OSError: If the store cannot be reached.
        """

    async def last_id(self, channel: ChannelId) -> int:
        """Return the id of the channel's latest publication, 0 if none is known.

        Raises:
            OSError: If the store cannot be reached.
        """

    async def channels(self, pattern: ChannelId, limit: int) -> Sequence[str]:
        """Return the names of up to ``limit`` channels that match a pattern and have publications, in order.

        Raises:
            OSError: If the store cannot be reached.
        """

    async def stop(self) -> None:
        """Release what is held."""

    def unready(self) -> str | None:
        """Return why it cannot keep now, None if it can."""


#: HTTP status and body of an answer.
Answer = tuple[int, bytes]


class Kept(msgspec.Struct, frozen=True):
    """What is known of a request.

    Attributes:
        body_hash: Of its body.
        answer: None while it is being worked out.
    """

    body_hash: bytes
    answer: Answer | None = None


class Answers(Protocol):
    """Keeps the answers of requests that carry a key of their user's, so that a retry does nothing twice.

    Contract: ``tests/contracts/answers.py``.
    """

    async def start(self) -> None:
        """Make ready."""

    async def begin(self, user_id: str, key: str, body_hash: bytes) -> Kept | None:
        """Return what is kept under a user's key; None for a new one, of which it is kept that it is under way.

        Raises:
            OSError: If the store cannot be reached.
        """

    async def end(self, user_id: str, key: str, body_hash: bytes, answer: Answer | None) -> None:
        """Keep the answer of a request that was begun; None forgets the key, for it may be tried again.

        Raises:
            OSError: If the store cannot be reached.
        """

    async def stop(self) -> None:
        """Release what is held."""

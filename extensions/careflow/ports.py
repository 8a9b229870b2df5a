"""What the care flow needs of others, and what it offers, as protocols."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec import Struct

from channels.stores.port import OutboxBatch
from channels.stores.signals import Signals
from extensions.careflow.dead_letters import DeadLetter
from extensions.careflow.records import Partition, Record

#: Gives one record its effect. Returns when that cannot be lost; ``OSError`` means not now, ``BadRecordError`` never.
Handle = Callable[[Record], Awaitable[None]]


class Publisher(Protocol):
    """The road to subscribers on every node."""

    async def publish(self, channel: str, data: bytes, *, kept: bool = True) -> None:
        """Publish raw JSON.

        Args:
            channel: A broadcast channel.
            data: The JSON.
            kept: Whether a history may keep it.

        Raises:
            RemoteError: If the channel cannot be published to.
            OSError: If the broker cannot be reached.
        """


class Absorb(Protocol):
    """Gives a foreign task event its effect in the store: :class:`channels.services.consumer.EventConsumer`."""

    async def consume(self, document: Mapping[str, Any]) -> Struct | None:
        """Return the event to show, None if there is nothing to show.

        Raises:
            SchemaViolationError: If the event contradicts itself.
            OSError: If the store cannot be reached.
        """


class Outbox(Protocol):
    """Events that were committed and wait to be sent: the part of :class:`channels.stores.port.CareStore` that counts.

    Contract: ``tests/contracts/task_store.py``.
    """

    signals: Signals

    def outbox_batch(self, limit: int) -> AbstractAsyncContextManager[OutboxBatch]:
        """Open a batch of at most ``limit`` waiting events, the oldest first."""


class Progress(Struct, frozen=True):
    """How far one partition is behind.

    Attributes:
        lag_records: Records that are there and not yet delivered.
        oldest_ms: When the oldest of those that were read was written, since 1970; None if none waits.
    """

    partition: Partition
    lag_records: int
    oldest_ms: int | None


class DeadLetters(Protocol):
    """The records that could not be used."""

    async def list(self) -> Sequence[DeadLetter]:
        """Return those that were not redriven, the oldest first."""

    async def redrive(self, letter_id: str) -> None:
        """Send the original record once more, to where it was, and forget the dead letter.

        Raises:
            KeyError: If there is no such dead letter.
            LookupError: If the original is no longer kept.
            OSError: If the bus cannot be reached.
        """


class EventBus(Protocol):
    """Carries events to whoever handles them: one handler among all nodes for each.

    Events of one key arrive in the order they were sent. An event is handed over again until its handler returns, or
    says that it is bad; then it becomes a dead letter, and nothing behind it waits.

    Contract: ``tests/contracts/event_bus.py``. An adapter that does not run it is not an adapter.
    """

    @property
    def dead_letters(self) -> DeadLetters:
        """The records that handlers refused for ever."""
        ...

    async def start(self, handle: Handle) -> None:
        """Begin to carry. A bus that cannot be reached is tried again behind the scenes: see :meth:`unready`."""

    async def send(self, topic: str, key: str, value: bytes, *, shown: bool = False) -> None:
        """Send an event and return when the bus cannot lose it any more.

        Args:
            topic: Where to.
            key: Events of one key stay in order.
            value: The event's JSON.
            shown: Subscribers have seen it already.

        Raises:
            BusUnavailableError: If it is not known to have arrived.
        """

    async def stop(self) -> None:
        """Finish what is under way, remember how far it went, and let go."""

    def unready(self) -> str | None:
        """Return why it cannot carry now, None if it can."""

    def progress(self) -> Sequence[Progress]:
        """Return where the partitions that this node reads stand."""

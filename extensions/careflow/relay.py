"""From the outbox to the bus: what was committed is sent, and forgotten once the bus has it.

The same code for Kafka and for the bus of the process. While Kafka takes nothing, events wait in the outbox and are
shown to subscribers ahead of it; the copy that comes back by Kafka later is dropped.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from typing import Final

import structlog

from channels.stores.records import OutboxEntry
from channels.stores.signals import LOOK_AGAIN_S
from extensions.careflow.backoff import Backoff
from extensions.careflow.metrics import Meters
from extensions.careflow.ports import EventBus, Outbox

log = structlog.get_logger()

#: Shows an event to subscribers without the bus. ``OSError`` means that it could not.
Show = Callable[[bytes], Awaitable[None]]

#: Events in the outbox beyond these are not shown ahead of Kafka.
_MAX_AHEAD: Final = 10_000


class Relay:
    """Sends what waits in the outbox, for as long as it runs.

    Events of one key are sent one after the other, each after the acknowledgement of the one before: a failure between
    them can then not reverse them. Different keys do not wait for each other.

    Args:
        outbox: What was committed.
        bus: Where it goes.
        topic_of: Type of an event to its topic.
        backoff: Waits after failures.
        meters: Counts.
        batch_events: Events taken at once.
        live_after_s: Seconds after which an event that waits for the bus is shown ahead of it.
        show: Shows it; None for a bus that itself shows what it takes.
    """

    def __init__(
        self,
        outbox: Outbox,
        bus: EventBus,
        topic_of: Callable[[str], str],
        backoff: Backoff,
        meters: Meters,
        *,
        batch_events: int,
        live_after_s: float = 0.0,
        show: Show | None = None,
    ) -> None:
        self._outbox = outbox
        self._bus = bus
        self._topic_of = topic_of
        self._backoff = backoff
        self._meters = meters
        self._batch_events = batch_events
        self._live_after_s = live_after_s
        self._show = show
        self._ahead: OrderedDict[str, None] = OrderedDict()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop. What was sent and not yet forgotten is sent again by the next one."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            seen = self._outbox.signals.outbox.count
            try:
                more = await self.relay_once()
                self._failures = 0
            except Exception as error:
                # Whatever it is: a relay that ended would keep every later event back, unseen.
                self._fail(error)
                more = False
            if self._failures:
                # New events end the wait: they are shown although they cannot be sent.
                await self._outbox.signals.outbox.wait(seen, self._backoff.delay_s(self._failures))
            elif not more:
                await self._outbox.signals.outbox.wait(seen, LOOK_AGAIN_S)

    async def relay_once(self) -> bool:
        """Send one batch and return whether more may wait.

        Raises:
            OSError: If the outbox or the bus cannot be reached. What was sent until then is forgotten.
        """
        # After a failure all that waits is looked at, for what is new is to be shown; then only the head is sent.
        limit = _MAX_AHEAD if self._failures and self._show else self._batch_events
        async with self._outbox.outbox_batch(limit) as batch:
            entries = batch.entries
            if not entries:
                return False
            if self._failures and self._show:
                await self._show_ahead(entries)
                entries = entries[:1]
            sent, failure = await self._send(entries)
            if sent:
                await batch.mark_sent(sent)
                for entry in entries:
                    self._ahead.pop(entry.event.event_id, None)
        if failure is not None:
            raise failure
        return len(entries) == limit or self._failures > 0

    async def _send(self, entries: Sequence[OutboxEntry]) -> tuple[list[int], OSError | None]:
        """Return the numbers of what was sent, and why the rest was not."""
        chains = [list(chain) for _, chain in groupby(sorted(entries, key=_by_key), key=lambda each: each.event.key)]
        results = await asyncio.gather(*(self._send_chain(chain) for chain in chains))
        return [seq for sent, _ in results for seq in sent], next((why for _, why in results if why is not None), None)

    async def _send_chain(self, chain: Iterable[OutboxEntry]) -> tuple[list[int], OSError | None]:
        sent: list[int] = []
        failure: OSError | None = None
        for entry in chain:
            if failure is not None:
                await self._show_one(entry)
                continue
            try:
                await self._send_one(entry)
                sent.append(entry.seq)
            except OSError as error:
                failure = error
                await self._show_one(entry)
        return sent, failure

    async def _send_one(self, entry: OutboxEntry) -> None:
        event = entry.event
        shown = event.event_id in self._ahead
        sending = asyncio.ensure_future(
            self._bus.send(self._topic_of(event.type), event.key, event.payload.encode(), shown=shown)
        )
        try:
            if self._show is not None and not shown:
                done, _ = await asyncio.wait({sending}, timeout=self._live_after_s)
                if not done:
                    await self._show_one(entry)
            await sending
        finally:
            sending.cancel()

    async def _show_ahead(self, entries: Iterable[OutboxEntry]) -> None:
        for entry in entries:
            await self._show_one(entry)

    async def _show_one(self, entry: OutboxEntry) -> None:
        event_id = entry.event.event_id
        if self._show is None or event_id in self._ahead or len(self._ahead) >= _MAX_AHEAD:
            return
        try:
            await self._show(entry.event.payload.encode())
        except Exception as error:
            # It is not lost: the bus will have it.
            log.warning("careflow.not_shown_ahead", error=type(error).__name__)
            return
        self._ahead[event_id] = None
        self._meters.shown_ahead()

    def _fail(self, error: Exception) -> None:
        self._failures += 1
        if self._failures & (self._failures - 1) == 0:
            log.warning("careflow.relay_failed", failures=self._failures, error=type(error).__name__)


def _by_key(entry: OutboxEntry) -> tuple[str, int]:
    return entry.event.key, entry.seq

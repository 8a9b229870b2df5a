"""From the outbox to subscribers and to the bus: what was committed is shown, sent, and forgotten once the bus has it.

The same code for Kafka and for the bus of the process. Events are shown first, and sent with a mark that keeps every
node from showing them again. Kafka's way round would not keep a task's events in order, as events of different types
have different topics; and by either bus an event of ours would be taken for another service's, which may have had no
effect yet. While the bus takes nothing, or takes its time, they wait in the outbox, and subscribers notice nothing.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from typing import Final

import structlog

from channels.stores.records import OutboxEntry
from channels.stores.signals import LOOK_AGAIN_S
from extensions.careflow.backoff import Backoff
from extensions.careflow.ports import EventBus, Outbox

log = structlog.get_logger()

#: Shows an event to subscribers without the bus. ``OSError`` means not now.
Show = Callable[[bytes], Awaitable[None]]

#: Events of the outbox that are looked at while the bus takes nothing: those behind them are shown later.
_MAX_SHOWN: Final = 10_000
#: How long the bus gets to take events while newer ones wait to be shown.
_PATIENCE_S: Final = 0.5


class Relay:
    """Sends what waits in the outbox, for as long as it runs.

    Events of one key are sent one after the other, each after the acknowledgement of the one before: a failure between
    them can then not reverse them. Different keys do not wait for each other.

    Args:
        outbox: What was committed.
        bus: Where it goes.
        topic_of: Type of an event to its topic.
        backoff: Waits after failures.
        batch_events: Events taken at once.
        show: Shows an event.
        patience_s: How long the bus gets to take events while newer ones wait to be shown.
    """

    def __init__(
        self,
        outbox: Outbox,
        bus: EventBus,
        topic_of: Callable[[str], str],
        backoff: Backoff,
        show: Show,
        *,
        batch_events: int,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._outbox = outbox
        self._bus = bus
        self._topic_of = topic_of
        self._backoff = backoff
        self._batch_events = batch_events
        self._show = show
        self._patience_s = patience_s
        #: Numbers of events that were shown and not yet sent.
        self._shown: set[int] = set()
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
        """Show and send one batch, and return whether more may wait.

        Raises:
            OSError: If outbox, bus or subscribers cannot be reached. What was sent until then is forgotten.
        """
        # After a failure all that waits is shown, and then one event is tried.
        probing = self._failures > 0
        seen = self._outbox.signals.outbox.count
        async with self._outbox.outbox_batch(_MAX_SHOWN if probing else self._batch_events) as batch:
            entries = sorted(batch.entries, key=_by_key)
            if entries:
                # Who may see an event follows from relations written with it: shown before, it would be hidden.
                await self._outbox.signals.relations.looked_at_again()
            chains = [list(chain) for _, chain in groupby(entries, key=lambda each: each.event.key)]
            shown = await asyncio.gather(*(self._show_chain(chain) for chain in chains))
            failures = [why for _, why in shown if why is not None]
            ready = [chain for chain, _ in shown if chain]
            # Another node may have sent some of the rest.
            self._shown.intersection_update(entry.seq for entry in entries)
            sent: list[int] = []
            why = await (self._probe(ready, sent) if probing else self._send_unless_overtaken(ready, sent, seen))
            if sent:
                await batch.mark_sent(sent)
                self._shown.difference_update(sent)
            failures += [why] if why is not None else []
        if failures:
            raise failures[0]
        return bool(entries) and (probing or len(entries) == self._batch_events)

    async def _show_chain(self, chain: Sequence[OutboxEntry]) -> tuple[Sequence[OutboxEntry], OSError | None]:
        """Return those of a key's events that may be sent, and why the rest may not."""
        for position, entry in enumerate(chain):
            if entry.seq in self._shown:
                continue
            try:
                await self._show(entry.event.payload.encode())
            except OSError as error:
                return chain[:position], error
            except Exception as error:
                # Our own mistake. It goes to the bus without the mark, and ends as a dead letter for people to see.
                log.error("careflow.not_shown", type=entry.event.type, error=type(error).__name__)
                continue
            self._shown.add(entry.seq)
        return chain, None

    async def _send_unless_overtaken(
        self, chains: Sequence[Sequence[OutboxEntry]], sent: list[int], seen: int
    ) -> OSError | None:
        """Send all, but let a slow bus wait once newer events have come since ``seen``: they must be shown.

        What it has not taken until then is sent again later. See :meth:`_send`.
        """
        sending = asyncio.ensure_future(self._send(chains, sent))
        try:
            while not sending.done():
                await asyncio.wait((sending,), timeout=self._patience_s)
                if self._outbox.signals.outbox.count > seen:
                    break
            if sending.done():
                return sending.result()
            return None if sent else TimeoutError("the bus has taken nothing for a while")
        finally:
            sending.cancel()

    async def _probe(self, chains: Sequence[Sequence[OutboxEntry]], sent: list[int]) -> OSError | None:
        """Send one event, for a short while; of another key each time, lest one that cannot be sent keeps all back."""
        turn = self._failures % max(1, len(chains))
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._send([chain[:1] for chain in chains[turn : turn + 1]], sent)
        except TimeoutError as error:
            return error

    async def _send(self, chains: Sequence[Sequence[OutboxEntry]], sent: list[int]) -> OSError | None:
        """Put the numbers of what was sent into ``sent``, and return why the rest was not."""
        failures = await asyncio.gather(*(self._send_chain(chain, sent) for chain in chains))
        return next((why for why in failures if why is not None), None)

    async def _send_chain(self, chain: Iterable[OutboxEntry], sent: list[int]) -> OSError | None:
        for entry in chain:
            event, shown = entry.event, entry.seq in self._shown
            try:
                await self._bus.send(self._topic_of(event.type), event.key, event.payload.encode(), shown=shown)
            except OSError as error:
                return error
            sent.append(entry.seq)
        return None

    def _fail(self, error: Exception) -> None:
        self._failures += 1
        # The first, and then ever more rarely: an outage of an hour is one story.
        if self._failures & (self._failures - 1) == 0:
            log.warning("careflow.relay_failed", failures=self._failures, error=type(error).__name__)


def _by_key(entry: OutboxEntry) -> tuple[str, int]:
    return entry.event.key, entry.seq

"""Wake-ups: who waits for something to be written learns of it without asking again and again."""

import asyncio
from typing import Final

from channels.stores.records import Commit


class Signal:
    """Counts how often something happened, and wakes who waits for the next time. Used on one event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """It happened."""
        self.count += 1
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Return once ``count`` is above ``seen``, or after ``timeout_s``.

        Take ``seen`` before looking at what the signal tells of: then nothing falls between looking and waiting.
        """
        if self.count > seen:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            # Not wait_for: in Python 3.11 it forgets that its caller was cancelled if the future is done as well.
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(future)


#: Seconds to wait at most until new relations have reached the permission checker of this process.
MOST_SETTLING_S: Final = 1.0


class FollowedSignal(Signal):
    """A signal of something that is followed, so that whoever caused it can wait until it was taken in.

    Attributes:
        followers: How many follow now. With none there is nothing to wait for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.followers = 0
        self._taken_in = 0
        self._progress = Signal()

    def take_in(self, seen: int) -> None:
        """A follower has taken in all that happened up to ``seen``."""
        if seen > self._taken_in:
            self._taken_in = seen
            self._progress.fire()

    async def taken_in(self, timeout_s: float = MOST_SETTLING_S) -> None:
        """Return when all that has happened until now was taken in, or after ``timeout_s``."""
        target = self.count
        while self.followers and self._taken_in < target:
            seen = self._progress.count
            await self._progress.wait(seen, timeout_s)
            if self._progress.count == seen:
                return

    async def looked_at_again(self) -> None:
        """Have the followers look once more, and return when they have.

        After that they know all that was committed before the call, by whichever node.
        """
        self.fire()
        await self.taken_in()


#: Seconds a waiter waits at most before it looks by itself: a signal of another process may be lost.
LOOK_AGAIN_S: Final = 1.0


class Signals:
    """What a store tells of: events in the outbox, changed relations, changed feature switches."""

    def __init__(self) -> None:
        self.outbox = Signal()
        self.relations = FollowedSignal()
        self.switches = Signal()

    def fire_for(self, commit: Commit) -> None:
        """A commit was written."""
        if commit.outgoing:
            self.outbox.fire()
        if commit.relations:
            self.relations.fire()
        if commit.switches:
            self.switches.fire()

    def fire_all(self) -> None:
        """Something was written, maybe by another process."""
        for signal in (self.outbox, self.relations, self.switches):
            signal.fire()

"""Wake-ups."""

import asyncio

from channels.stores.records import Commit, FeatureSwitch
from channels.stores.signals import Signal, Signals


class TestSignal:
    async def test_wakes_everybody_who_waits(self) -> None:
        signal = Signal()
        waiting = [asyncio.ensure_future(signal.wait(0, 60)) for _ in range(3)]
        await asyncio.sleep(0)
        signal.fire()
        await asyncio.gather(*waiting)

    async def test_what_happened_since_one_looked_is_not_waited_for(self) -> None:
        signal = Signal()
        signal.fire()
        await signal.wait(0, 60)

    async def test_ends_by_itself(self) -> None:
        signal = Signal()
        await signal.wait(0, 0)
        signal.fire()
        assert signal.count == 1

    async def test_a_waiter_that_was_cancelled_does_not_hinder_it(self) -> None:
        signal = Signal()
        gone, there = (asyncio.ensure_future(signal.wait(0, 60)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        signal.fire()
        await there
        assert gone.cancelled()


class TestSignals:
    def test_a_commit_fires_what_it_is_about(self) -> None:
        signals = Signals()
        signals.fire_for(Commit(switches=(FeatureSwitch(name="presence", percentage=10),)))
        assert (signals.outbox.count, signals.relations.count, signals.switches.count) == (0, 0, 1)

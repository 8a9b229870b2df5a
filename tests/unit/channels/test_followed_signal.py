"""Whoever changed something may wait until those who follow it have taken it in."""

import asyncio

from channels.stores.signals import FollowedSignal


class TestFollowedSignal:
    async def test_who_waits_goes_on_once_it_was_taken_in(self) -> None:
        signal = FollowedSignal()
        signal.followers = 1
        signal.fire()
        waiting = asyncio.create_task(signal.taken_in(timeout_s=60))
        await asyncio.sleep(0)
        assert not waiting.done()
        signal.take_in(1)
        await waiting

    async def test_nobody_waits_for_what_happens_later(self) -> None:
        signal = FollowedSignal()
        signal.followers = 1
        signal.fire()
        signal.take_in(1)
        await signal.taken_in(timeout_s=60)

    async def test_nobody_waits_where_nobody_follows(self) -> None:
        signal = FollowedSignal()
        signal.fire()
        await signal.taken_in(timeout_s=60)

    async def test_followers_are_asked_to_look_once_more(self) -> None:
        signal = FollowedSignal()
        signal.followers = 1
        looking = asyncio.create_task(signal.looked_at_again())
        await signal.wait(0, timeout_s=60)
        assert not looking.done()
        signal.take_in(signal.count)
        await looking

    async def test_the_wait_has_an_end(self) -> None:
        signal = FollowedSignal()
        signal.followers = 1
        signal.fire()
        await signal.taken_in(timeout_s=0)

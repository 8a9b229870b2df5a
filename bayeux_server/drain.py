"""Stopping without a storm: connections go in slices, each client told to come back at a moment of its own."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from bayeux_server.health import Health
from bayeux_server.transports.context import TransportContext

log = structlog.get_logger()

SLICES: Final = 20


async def drain(context: TransportContext, health: Health, drain_ms: int, *, wait_ms: int = 0) -> None:
    """Say that we are not ready, then answer the held connects and close what is open, spread over ``drain_ms``.

    Before that a balancer gets ``wait_ms`` to see it, so that nobody who is let go is sent here again.
    """
    health.draining = True
    if wait_ms:
        log.info("drain.waits", wait_ms=wait_ms)
        await _pass(context, wait_ms / 1_000)
    core = context.server.core
    core.drain_jitter_ms = max(core.drain_jitter_ms, drain_ms)
    farewells: list[Callable[[], None]] = [session.release for session in core.sessions if session.pipe is None]
    farewells += [socket.go_away for socket in context.sockets]
    log.info("drain.began", connections=len(farewells), drain_ms=drain_ms)
    for number in range(SLICES if farewells and drain_ms else 0):
        for say_farewell in farewells[number::SLICES]:
            say_farewell()
        await _pass(context, drain_ms / SLICES / 1_000)
    for session in core.sessions:
        session.release()
    for socket in list(context.sockets):
        socket.go_away()
    log.info("drain.ended")


async def _pass(context: TransportContext, seconds: float) -> None:
    passed = asyncio.Event()
    core = context.server.core
    timer = core.timers.call_at(core.clock.now() + seconds, passed.set)
    try:
        await passed.wait()
    finally:
        timer.cancel()

"""Stopping without a storm: connections go in slices, each client told to come back at a moment of its own."""

import asyncio
from collections.abc import Sequence
from typing import Final, TypeVar

import structlog

from bayeux_server.health import Health
from bayeux_server.transports.context import TransportContext

log = structlog.get_logger()

SLICES: Final = 10

T = TypeVar("T")


async def drain(context: TransportContext, health: Health, drain_ms: int) -> None:
    """Say that we are not ready, answer the held polls and close the sockets, spread over ``drain_ms``."""
    health.draining = True
    core = context.server.core
    core.drain_jitter_ms = max(1, drain_ms)
    sessions = list(core.sessions)
    log.info("drain.began", sessions=len(sessions), sockets=len(context.sockets), drain_ms=drain_ms)
    for slice_number in range(SLICES):
        for session in _slice(sessions, slice_number):
            session.release()
        for socket in _slice(list(context.sockets), slice_number, of=SLICES - slice_number):
            socket.go_away()
        if core.sessions and context.sockets:
            await asyncio.sleep(drain_ms / SLICES / 1_000)
    for socket in list(context.sockets):
        socket.go_away()
    log.info("drain.ended")


def _slice(items: Sequence[T], number: int, of: int = 0) -> Sequence[T]:
    """Return one slice of several; with ``of``, the first of as many as are left."""
    if of:
        return items[: -(-len(items) // of)]
    return items[number::SLICES]

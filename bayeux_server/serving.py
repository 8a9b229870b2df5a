"""Running the application in a process: the loop, the signals, the port."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import structlog
import uvloop
from aiohttp import web, web_response
from aiohttp.http_exceptions import HttpProcessingError

from bayeux_server import compiled, logs
from bayeux_server.app import BayeuxApp
from bayeux_server.settings import Settings
from bayeux_server.transports.direct.front_door import Doorway
from bayeux_server.transports.direct.responses import SERVER
from bayeux_server.transports.direct.site import DoorSite

log = structlog.get_logger()

BACKLOG = 2_048
#: Sessions and their queues are freed by counting references, and cycles are rare: all of the memory need not be looked
#: through often. What is new is, in small portions, for everybody waits meanwhile (``benchmarks/README.md``).
GC_THRESHOLDS = (2_000, 10, 50)


@asynccontextmanager
async def listening(app: BayeuxApp, host: str, port: int) -> AsyncIterator[str]:
    """Run an application on a TCP port while the context is open; gives its address, such as ``http://127.0.0.1:8000``.

    Raises:
        OSError: If the port cannot be listened on.
    """
    runner = _make_runner(app)
    doorway: Doorway | None = None
    try:
        await runner.setup()
        door: Callable[[], asyncio.Protocol] = cast(web.Server, runner.server)  # it is set up
        if app.settings.server.short_road:
            door = doorway = Doorway(app.context, app.settings.server.mount, door, app.requests)
        send_buffer_bytes = app.settings.limits.send_buffer_bytes
        await DoorSite(runner, door, host, port, backlog=BACKLOG, send_buffer_bytes=send_buffer_bytes).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        if doorway is not None:
            doorway.close()
            await asyncio.sleep(0)  # transports close in the loop's next turn


def _make_runner(app: BayeuxApp) -> web.AppRunner:
    """Return what runs the application over HTTP, with the limits and habits the transports count on."""
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    # There is no setting for it, and to what is not HTTP aiohttp answers without asking the application.
    web_response.SERVER_SOFTWARE = SERVER  # type: ignore[attr-defined]
    return web.AppRunner(
        app.web,
        access_log=None,
        handler_cancellation=True,  # a poll whose client hung up must not answer into the void
        max_line_size=app.settings.limits.max_request_line_bytes,
        shutdown_timeout=1.0,
    )


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record of aiohttp tells of an error of ours.

    A request that is not HTTP, or whose body is not encoded as it says, is the peer's; and the text would quote the
    request: a JSONP address carries messages.
    """
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, (HttpProcessingError, web.RequestPayloadError)):
        return True
    log.info("request.unreadable", reason=type(error).__name__)
    return False


async def serve(settings: Settings, on_started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the draining at once.

    Args:
        on_started: Called with the address, such as ``http://127.0.0.1:8000``, once connections are accepted.

    Raises:
        OSError: If the address cannot be listened on.
    """
    app = BayeuxApp(settings)
    stopping = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(logs.on_loop_error)
    _on_signals(app, stopping)
    try:
        async with listening(app, settings.server.host, settings.server.port) as address:
            on_started(address)
            _settle_memory()
            log.info("server.started", address=address, mount=settings.server.mount, compiled=compiled.is_in_use())
            await stopping.wait()
            await app.drain()
    finally:
        log.info("server.stopped")


def _settle_memory() -> None:
    """Take what the start made out of the garbage collector's rounds.

    It stays anyway, and looking through it again and again is paid for by deliveries.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _on_signals(app: BayeuxApp, stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()

    def stop() -> None:
        if stopping.is_set() and main is not None:
            main.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def run(settings: Settings, on_started: Callable[[str], None]) -> None:
    """Run :func:`serve` on the event loop the settings ask for."""
    run_loop = uvloop.run if settings.server.event_loop == "uvloop" else asyncio.run
    with contextlib.suppress(asyncio.CancelledError):  # the second signal
        run_loop(serve(settings, on_started))

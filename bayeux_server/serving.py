"""Running the application in a process: the loop, the signals, the port."""

import asyncio
import signal
from collections.abc import Callable

import structlog
from aiohttp import web

from bayeux_server.app import BayeuxApp
from bayeux_server.settings import Settings

log = structlog.get_logger()

BACKLOG = 2_048


async def serve(settings: Settings, on_started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the draining at once.

    Args:
        on_started: Called with the address, such as ``http://127.0.0.1:8000``, once connections are accepted.

    Raises:
        OSError: If the address cannot be listened on.
    """
    app = BayeuxApp(settings)
    runner = web.AppRunner(
        app.web,
        access_log=None,
        handler_cancellation=True,  # a poll whose client hung up must not answer into the void
        max_line_size=settings.limits.max_request_line_bytes,
        shutdown_timeout=1.0,
    )
    stopping = asyncio.Event()
    _on_signals(app, stopping)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.server.host, settings.server.port, backlog=BACKLOG)
        await site.start()
        port = runner.addresses[0][1]
        on_started(f"http://{settings.server.host}:{port}")
        log.info("server.started", host=settings.server.host, port=port, mount=settings.server.mount)
        await stopping.wait()
    finally:
        await runner.cleanup()
        log.info("server.stopped")


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
    kind = settings.server.event_loop
    if kind == "asyncio":
        asyncio.run(serve(settings, on_started))
        return
    try:
        import uvloop
    except ImportError:
        if kind == "uvloop":
            raise
        asyncio.run(serve(settings, on_started))
    else:
        uvloop.run(serve(settings, on_started))

"""Logging: structlog; lines for people on a terminal, JSON everywhere else. Keys and values, never payloads.

An exception's text may quote what it choked on (a database its row, a validator its document), so it is never logged:
an exception is its type and the places it passed.
"""

import asyncio
import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog

from bayeux_server.settings import LogSettings

log = structlog.get_logger()


def configure(settings: LogSettings, *, for_good: bool = True) -> None:
    """Set up logging for the process, the standard library's loggers included.

    Args:
        for_good: Whether loggers may keep what they were set up with: to put one together costs more than the line that
            a level then suppresses.
    """
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_exceptions,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=for_good,
    )
    handler = logging.StreamHandler(sys.stderr)
    # Others' messages without what is put into them: those are values too.
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer, use_get_message=False)
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def name_exceptions(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its type and the places it passed, its causes included: a structlog processor."""
    exc_info = event.pop("exc_info", None)
    if isinstance(exc_info, tuple):
        error = exc_info[1]
    else:
        error = exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1] if exc_info else None
    if error is not None:
        event["exception"] = "\n".join(_described(error, set()))
    return event


def on_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody caught. Given to the event loop, whose own handler would quote arguments and texts."""
    log.error("loop.failed", exc_info=context.get("exception"))


def _described(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _described(before, seen)
        yield "then:"
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield f"  {frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}"
    yield f"{type(error).__module__}.{type(error).__qualname__}"
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield "of:"
        yield from _described(inner, seen)

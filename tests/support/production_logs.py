"""Logging as in production, for a test that reads what is printed."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from bayeux_server import logs
from bayeux_server.settings import LogSettings


@contextmanager
def production_logs(settings: LogSettings | None = None) -> Iterator[None]:
    """Set it up on the standard error of this moment, and put back what was there."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()  # what is there when logging is set up is closed, and pytest needs its handlers again
    logs.configure(settings or LogSettings(format="json"), for_good=False)
    try:
        yield
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)

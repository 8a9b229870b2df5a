"""Telling listeners what has happened and cannot be refused any more."""

from collections.abc import Callable, Iterable

import structlog

log = structlog.get_logger()


def tell(listeners: Iterable[Callable[..., object]], *arguments: object) -> None:
    """Call listeners one after the other. One that raises is logged, and keeps the next from nothing."""
    for listener in listeners:
        try:
            listener(*arguments)
        except Exception:
            log.exception("listener.failed")

"""What is logged of an exception: its type and the places it passed, and nothing of what it says."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from bayeux_server.logs import on_loop_error
from bayeux_server.settings import LogSettings
from tests.support.production_logs import production_logs

SECRET = "Doe, John"


@pytest.fixture(params=["json", "console"])
def printed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Logging as in production, and what it has printed."""
    stderr = StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    with production_logs(LogSettings(format=request.param)):
        yield stderr.getvalue


def fail() -> None:
    """Raise an exception of another one, both of which quote what they choked on."""
    try:
        int(SECRET)
    except ValueError as error:
        error.add_note(SECRET)
        raise KeyError(SECRET) from error


def _log(message: str) -> None:
    structlog.get_logger().exception(message)


def _log_of_others(message: str) -> None:
    logging.getLogger("somebody.else").error("%s failed", SECRET, exc_info=sys.exc_info())
    structlog.get_logger().info(message)


@pytest.mark.parametrize("log", [_log, _log_of_others])
def test_an_exception_is_its_types_and_places(printed: Callable[[], str], log: Callable[[str], None]) -> None:
    try:
        fail()
    except KeyError:
        log("it.failed")
    text = printed()
    assert "it.failed" in text
    assert "builtins.ValueError" in text
    assert "builtins.KeyError" in text
    assert f"{__name__.rpartition('.')[2]}.py" in text
    assert "in fail" in text
    assert SECRET not in text


def test_the_members_of_a_group_are_named(printed: Callable[[], str]) -> None:
    try:
        raise ExceptionGroup(SECRET, [OSError(SECRET), ValueError(SECRET)])
    except ExceptionGroup:
        _log("it.failed")
    text = printed()
    assert "builtins.OSError" in text
    assert "builtins.ValueError" in text
    assert SECRET not in text


def test_a_line_without_an_exception_has_none(printed: Callable[[], str]) -> None:
    structlog.get_logger().error("it.failed", exc_info=True)
    assert "exception" not in printed()


async def test_what_nobody_caught_is_logged_likewise(printed: Callable[[], str]) -> None:
    loop = asyncio.get_running_loop()
    logged = asyncio.Event()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        on_loop_error(loop, context)
        logged.set()

    loop.set_exception_handler(handle)
    loop.call_soon(int, SECRET)
    await logged.wait()
    text = printed()
    assert "loop.failed" in text
    assert "builtins.ValueError" in text
    assert SECRET not in text


def test_a_machine_reads_one_object_a_line(printed: Callable[[], str], request: pytest.FixtureRequest) -> None:
    try:
        fail()
    except KeyError:
        _log("it.failed")
    text = printed()
    if "json" in request.node.name:
        assert json.loads(text)["exception"].endswith("builtins.KeyError")

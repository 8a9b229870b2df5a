"""Work that runs through in one go, and waits only where it has to.

A coroutine needs a task to run in, and a task costs more than most messages do. Steps are a generator instead: it
yields each thing that has to be waited for, which is seldom any, and is sent what came of it. Who may wait awaits
:func:`complete`; who is called by the event loop itself takes the steps with ``next(steps, None)``, and makes a task
only for what is left when that yields something. What comes of such steps is left in an object given to them: to return
it would raise an exception, which costs a microsecond and more.
"""

from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

T = TypeVar("T")

Steps = Generator[Awaitable[Any], Any, T]


async def complete(steps: Steps[T], awaited: Awaitable[Any] | None = None) -> T:
    """Take all steps and return what they return.

    Args:
        awaited: What the steps have yielded already, None if they have not begun.
    """
    try:
        if awaited is None:
            awaited = next(steps)
        while True:
            try:
                result = await awaited
            except BaseException as error:  # the steps decide what it means, a cancellation too
                awaited = steps.throw(error)
            else:
                awaited = steps.send(result)
    except StopIteration as end:
        value: T = end.value
        return value

"""Filling a page with what a caller may see: what they may not see leaves no trace, not even a shorter page."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from channels.services.presenter import Document
from channels.views import View

Row = TypeVar("Row")
#: A row that may be on the page, how much of it is shown, and what it is on the wire.
Visible = tuple[Row, View, Document]

#: Rows that are looked at in one step once a page has not been filled by the first; and steps at most. Beyond these
#: 10,000 an asker who sees next to nothing has to filter.
_LOOK: Final = 200
_MOST_LOOKS: Final = 50


async def walk(
    read: Callable[[Row | None, int], Awaitable[Sequence[Row]]],
    see: Callable[[Sequence[Row]], Awaitable[Sequence[Visible[Row]]]],
    wanted: int,
) -> list[Visible[Row]]:
    """Return the first ``wanted`` rows of those that may be seen, or as many as there are.

    Args:
        read: Returns at most so many rows behind one, from the beginning for None.
        see: Returns those of the rows that may be seen.
        wanted: At least 1.
    """
    found: list[Visible[Row]] = []
    last, limit = None, wanted
    for _ in range(_MOST_LOOKS):
        rows = await read(last, limit)
        found += await see(rows)
        if len(rows) < limit or len(found) >= wanted:
            break
        last, limit = rows[-1], _LOOK
    return found[:wanted]

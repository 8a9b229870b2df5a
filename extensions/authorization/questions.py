"""Questions under way: joined into bulks, never asked twice at a time, asked again if the ground moves meanwhile."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from extensions.authorization.ports import Check, CheckerUnavailableError, PermissionChecker

log = structlog.get_logger()

#: Given the checks of one bulk with their answers, or with None if the checker could not answer.
Keep = Callable[[Sequence[Check], Sequence[bool] | None], None]

#: How often a decision that was outdated on arrival is asked for again before it counts as none.
MOST_ROUNDS: Final = 5


class _Bulk:
    """Checks asked together."""

    def __init__(self) -> None:
        self.checks: dict[Check, None] = {}
        self.outdated = False
        self.done = asyncio.Event()


class Questions:
    """Asks a checker.

    Everything that is asked for in one turn of the event loop goes into one bulk, whoever asks.
    """

    def __init__(self, checker: PermissionChecker) -> None:
        self._checker = checker
        #: The newest state of the checker's store that we know to have a change that concerns us.
        self._token: str | None = None
        self._gathering: _Bulk | None = None
        self._under_way: dict[Check, _Bulk] = {}
        self._asking: set[_Bulk] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Give up what is under way: it counts as not answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ask(self, checks: Iterable[Check], keep: Keep) -> None:
        """Have ``keep`` called with the answers, and return after that."""
        bulks: dict[_Bulk, None] = {}
        for check in checks:
            bulk = self._under_way.get(check)
            if bulk is None:
                bulk = self._under_way[check] = self._gather(keep)
                bulk.checks[check] = None
            bulks[bulk] = None
        for bulk in bulks:
            await bulk.done.wait()

    async def answers(self, checks: Sequence[Check]) -> list[bool]:
        """Return the answers to ``checks`` as of a state that no known change is newer than.

        Raises:
            CheckerUnavailableError: If the checker cannot answer, or its ground moved faster than it answers.
        """
        bulk = _Bulk()
        bulk.checks = dict.fromkeys(checks)
        return await self._answers(bulk, checks)

    def outdated(self, objects: frozenset[tuple[str, str]], types: frozenset[str], token: str | None) -> None:
        """Hear of a change: answers under way about these objects are asked for again, as of ``token``."""
        self._token = token or self._token
        for bulk in self._asking:
            bulk.outdated |= any(check[2:] in objects or check.object_type in types for check in bulk.checks)

    def all_outdated(self, token: str | None) -> None:
        """Hear that any change may have been missed up to ``token``."""
        self._token = token or self._token
        for bulk in self._asking:
            bulk.outdated = True

    def _gather(self, keep: Keep) -> _Bulk:
        if self._gathering is None:
            self._gathering = _Bulk()
            task = asyncio.create_task(self._run(self._gathering, keep))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._gathering

    async def _run(self, bulk: _Bulk, keep: Keep) -> None:
        self._gathering = None
        checks = list(bulk.checks)
        answers: list[bool] | None = None
        try:
            answers = await self._answers(bulk, checks)
        except CheckerUnavailableError as error:
            log.warning("permission.unanswered", checks=len(checks), reason=str(error))
        except Exception:
            log.exception("permission.checker_failed", checks=len(checks))
        finally:
            for check in checks:
                del self._under_way[check]
            keep(checks, answers)
            bulk.done.set()

    async def _answers(self, bulk: _Bulk, checks: Sequence[Check]) -> list[bool]:
        self._asking.add(bulk)
        try:
            for _ in range(MOST_ROUNDS):
                bulk.outdated = False
                answers = await self._checker.check_bulk(checks, at_least=self._token)
                if not bulk.outdated:
                    return answers
        finally:
            self._asking.discard(bulk)
        raise CheckerUnavailableError("relations change faster than they can be asked about")

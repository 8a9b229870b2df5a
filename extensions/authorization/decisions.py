"""Decisions kept: what fan-out asks thousands of times a second, and how a decision stops being true.

A decision lives until a change of relations touches it; as long as changes are watched, at most ``watched_ttl_s``, and
without a watched stream at most ``ttl_s``. When the stream breaks all are forgotten. A decision that the checker could
not give is a no, asked again after ``retry_s``.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import structlog

from extensions.authorization.ports import Check, CheckerUnavailableError, PermissionChecker
from extensions.authorization.questions import MOST_ROUNDS, Questions

log = structlog.get_logger()

#: Called with user, object type and object id: what the user could do there a moment ago, they cannot any more.
OnRevoked = Callable[[str, str, str], None]

_Answer = tuple[bool, float]  # and until when, in the clock's seconds
#: By permission and user.
_Answers = dict[str, dict[str, _Answer]]


class Decisions:
    """Answers from memory, and asks the checker for the rest.

    Args:
        checker: Knows.
        now: The clock, seconds that never go back.
        ttl_s: How long a decision lives when changes are not watched.
        watched_ttl_s: How long it lives when they are.
        retry_s: How long a failure to answer stands as a no.
        max_objects: Objects about which decisions are kept; the ones kept longest go first.
        on_revoked: See :data:`OnRevoked`; called for pairs that are held, and for kept decisions that were a yes.
    """

    def __init__(
        self,
        checker: PermissionChecker,
        now: Callable[[], float],
        *,
        ttl_s: float = 5.0,
        watched_ttl_s: float = 60.0,
        retry_s: float = 1.0,
        max_objects: int = 50_000,
        on_revoked: OnRevoked = lambda *_: None,
    ) -> None:
        self._checker = checker
        self._now = now
        self._ttl_s = ttl_s
        self._watched_ttl_s = watched_ttl_s
        self._retry_s = retry_s
        self._max_objects = max_objects
        self._on_revoked = on_revoked
        self._answers: dict[tuple[str, str], _Answers] = {}
        self._held: dict[Check, int] = {}
        self._suspects: dict[Check, None] = {}
        self._wake = asyncio.Event()
        self._watched = False
        self._questions = Questions(checker)
        self._rechecking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the checker and the re-checking of what changes."""
        await self._checker.start(self)
        self._rechecking = asyncio.create_task(self._recheck_forever(), name="recheck")

    async def stop(self) -> None:
        """Stop both, and forget all."""
        if self._rechecking is not None:
            self._rechecking.cancel()
            await asyncio.gather(self._rechecking, return_exceptions=True)
        await self._questions.stop()
        await self._checker.stop()
        self._answers.clear()

    def unready(self) -> str | None:
        """Return why decisions cannot be made now, None if they can."""
        return self._checker.unready()

    # ---- asking

    def decide(self, user_id: str, permission: str, object_type: str, object_id: str) -> bool | None:
        """Return the decision if it is at hand; None (cold) if :meth:`ensure` must be awaited first."""
        answer = self._of(permission, object_type, object_id).get(user_id)
        if answer is not None and answer[1] > self._now():
            return answer[0]
        return self.decide_all((user_id,), permission, object_type, object_id)[0]

    def decide_all(
        self, user_ids: Collection[str], permission: str, object_type: str, object_id: str
    ) -> list[bool | None]:
        """Return :meth:`decide` for many users and one object, in order: what they have in common is done once."""
        # Written out, as it is paid for every reader of every event.
        answers, now_s = self._of(permission, object_type, object_id), self._now()
        decisions = [
            answer[0] if (answer := answers.get(user_id)) is not None and answer[1] > now_s else None
            for user_id in user_ids
        ]
        if None not in decisions:
            return decisions
        cold = [user_id for user_id, decision in zip(user_ids, decisions, strict=True) if decision is None]
        holders = self._checker.holders_now(cold, permission, object_type, object_id)
        if holders is None:
            return decisions
        found = {user_id: user_id in holders for user_id in cold}
        self._keep(found, permission, object_type, object_id)
        return [
            found[user_id] if decision is None else decision
            for user_id, decision in zip(user_ids, decisions, strict=True)
        ]

    def _of(self, permission: str, object_type: str, object_id: str) -> Mapping[str, _Answer]:
        return self._answers.get((object_type, object_id), _NOTHING).get(permission, _NOBODY)

    async def ensure(self, checks: Iterable[Check]) -> None:
        """Make the decisions that are cold, in bulk; afterwards :meth:`decide` knows all of them for a moment.

        Asks that are under way already are waited for, not repeated.
        """
        cold = [check for check in checks if self.decide(*check) is None]
        if cold:
            await self._questions.ask(cold, self._keep_all)

    async def check(self, check: Check) -> bool:
        """Return one decision, made now if it is cold. The checker not answering means no."""
        return (await self.answers((check,)))[0]

    async def answers(self, questions: Sequence[tuple[str, str, str, str]]) -> list[bool]:
        """Return decisions in order, made now where they are cold. The checker not answering means no.

        This is what :class:`channels.services.caller.Permissions` asks for.
        """
        checks = [Check(*question) for question in questions]
        for _ in range(MOST_ROUNDS):
            decisions = [self.decide(*check) for check in checks]
            if None not in decisions:
                break
            await self.ensure(checks)
        else:
            decisions = [self.decide(*check) for check in checks]
        return [decision is True for decision in decisions]

    # ---- live pairs

    def hold(self, check: Check) -> None:
        """Keep watch over a pair, such as a subscription's, until :meth:`release`; counts.

        If the permission was lost since it was granted a moment ago, that is told like any other revocation.
        """
        self._held[check] = self._held.get(check, 0) + 1
        if self.decide(*check) is False:
            self._suspect((check,))

    def release(self, check: Check) -> None:
        """Undo one :meth:`hold`. A pair that was revoked is not held any more, and may be released all the same."""
        count = self._held.get(check, 0)
        if count > 1:
            self._held[check] = count - 1
        elif count:
            del self._held[check]

    # ---- the checker's side (Watcher)

    def changed(self, objects: frozenset[tuple[str, str]], types: frozenset[str], token: str | None) -> None:
        """See :meth:`Watcher.changed`: forget, and ask again about whatever somebody relies on."""
        self._questions.outdated(objects, types, token)
        gone = [key for key in self._answers if key in objects or key[0] in types] if types else objects
        for key in gone:
            self._suspect(_allowed(key, self._answers.pop(key, {})))
        self._suspect(check for check in self._held if check[2:] in objects or check.object_type in types)

    def watching(self, *, alive: bool, token: str | None = None) -> None:
        """See :meth:`Watcher.watching`. Unwatched, held pairs are asked about again within ``ttl_s``."""
        self._watched = alive
        self._questions.all_outdated(token)
        self._forget_all()

    def _forget_all(self) -> None:
        for key, answers in self._answers.items():
            self._suspect(_allowed(key, answers))
        self._answers.clear()
        self._suspect(self._held)

    def _suspect(self, checks: Iterable[Check]) -> None:
        self._suspects.update(dict.fromkeys(checks))
        if self._suspects:
            self._wake.set()

    async def recheck(self) -> None:
        """Ask again about what is suspect, and tell of every pair that lost its permission.

        Raises:
            CheckerUnavailableError: If the checker cannot answer; nothing is told then, the pairs stay suspect, and
                deliveries are decided (as a no) by themselves.
        """
        suspects = list(self._suspects)
        if not suspects:
            return
        answers = await self._questions.answers(suspects)
        answered = list(zip(suspects, answers, strict=True))
        for check, allowed in answered:
            self._suspects.pop(check, None)
            self._keep({check.user_id: allowed}, *check[1:])
        for check, allowed in answered:
            if not allowed:
                self._revoke(check)

    def _revoke(self, check: Check) -> None:
        self._held.pop(check, None)
        log.info("permission.revoked", permission=check.permission, object_type=check.object_type)
        try:
            self._on_revoked(check.user_id, check.object_type, check.object_id)
        except Exception:
            log.exception("permission.revocation_failed", object_type=check.object_type)

    async def _recheck_forever(self) -> None:
        pause_s = self._ttl_s * _SWEEP_SHARE
        while True:
            try:
                # Not wait_for, which in Python 3.11 swallows a cancellation that meets the event.
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                if not self._watched:
                    self._suspect(self._held)
            self._wake.clear()
            try:
                await self.recheck()
                continue
            except CheckerUnavailableError:
                log.warning("permission.recheck_failed", suspects=len(self._suspects))
            except Exception:
                log.exception("permission.recheck_failed")
            await asyncio.sleep(self._retry_s)
            self._wake.set()

    # ---- keeping

    def _keep_all(self, checks: Iterable[Check], answers: Iterable[bool] | None) -> None:
        if answers is None:
            for check in checks:
                self._keep({check.user_id: False}, *check[1:], for_s=self._retry_s)
            return
        for check, allowed in zip(checks, answers, strict=True):
            self._keep({check.user_id: allowed}, *check[1:])

    def _keep(
        self,
        found: Mapping[str, bool],
        permission: str,
        object_type: str,
        object_id: str,
        *,
        for_s: float | None = None,
    ) -> None:
        """Keep what was found of users, by their ids."""
        key = object_type, object_id
        answers = self._answers.get(key)
        if answers is None:
            if len(self._answers) >= self._max_objects:
                del self._answers[next(iter(self._answers))]
            answers = self._answers[key] = {}
        lives_s = for_s if for_s is not None else self._watched_ttl_s if self._watched else self._ttl_s
        until_s = self._now() + lives_s
        yes, no = (True, until_s), (False, until_s)
        answers.setdefault(permission, {}).update(
            (user_id, yes if allowed else no) for user_id, allowed in found.items()
        )


def _allowed(key: tuple[str, str], answers: _Answers) -> Iterator[Check]:
    return (
        Check(user_id, permission, *key)
        for permission, by_user in answers.items()
        for user_id, (allowed, _) in by_user.items()
        if allowed
    )


#: Part of ``ttl_s`` after which unwatched pairs are asked about, so that answer and revocation fit into the rest.
_SWEEP_SHARE: Final = 0.7
#: What is known of an object or a permission that nobody asked about. Never written to.
_NOTHING: Final[Mapping[str, Mapping[str, _Answer]]] = {}
_NOBODY: Final[Mapping[str, _Answer]] = {}

"""What a caller is shown of an object: hidden, redacted or full, decided in one bulk question for many objects."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog

from channels.policy import Need, Principal, decided
from channels.services.caller import Caller, Disclosures, Permissions, Question
from channels.views import View, ViewNeeds, object_needs, shown, view_of

log = structlog.get_logger()

Document = Mapping[str, Any]


def document_of(value: object) -> Document:
    """Return a struct as the JSON object it is on the wire."""
    document: Document = msgspec.to_builtins(value)
    return document


class Presenter:
    """Asks permissions and redacts. A checker that cannot answer means no.

    Args:
        permissions: Knows who may what.
        disclosures: Hears of what is shown in full, before it is.
    """

    def __init__(self, permissions: Permissions, disclosures: Disclosures) -> None:
        self._permissions = permissions
        self._disclosures = disclosures

    async def permits(self, caller: Caller, *needs: Need) -> bool:
        """Tell whether the caller has all of ``needs``."""
        answers = await self._answers(caller.principal, [ViewNeeds(needs, ())])
        return view_of(caller.principal, ViewNeeds(needs, ()), answers.get_now) is View.FULL

    async def views(self, caller: Caller, kind: str, documents: Sequence[Document]) -> list[View]:
        """Return how much of each document the caller may see; ``kind`` as for :func:`channels.views.redact`."""
        needs = [object_needs(kind, document) for document in documents]
        answers = await self._answers(caller.principal, needs)
        return [view_of(caller.principal, each, answers.get_now) or View.HIDDEN for each in needs]

    async def shown(self, caller: Caller, kind: str, documents: Sequence[Document]) -> list[Document | None]:
        """Return each document as the caller may see it; None for one they may not see."""
        views = await self.views(caller, kind, documents)
        return await self.shown_as(caller, kind, list(zip(views, documents, strict=True)))

    async def shown_as(
        self, caller: Caller, kind: str, viewed: Sequence[tuple[View, Document]]
    ) -> list[Document | None]:
        """Return each document in a view that was decided before, and tell of those shown in full."""
        full = [document for view, document in viewed if view is View.FULL]
        if full:
            await self._disclosures.shown(caller, kind, full)
        return [shown(view, kind, document) for view, document in viewed]

    async def _answers(self, principal: Principal, needs: Sequence[ViewNeeds]) -> "_Answers":
        """Ask everything that these needs depend on, each question once."""
        asked = dict.fromkeys(
            (principal.user_id, need.permission.value, need.object_type, need.object_id)
            for each in needs
            for need in (*each.visible, *each.full)
            if decided(principal, need, _unknown) is None
        )
        if not asked:
            return _Answers({})
        try:
            return _Answers(dict(zip(asked, await self._permissions.answers(list(asked)), strict=True)))
        except Exception as error:
            # Fail closed: whatever went wrong there, nobody sees more for it.
            log.warning("permission.unanswered", questions=len(asked), error=type(error).__name__)
            return _Answers({})


class _Answers:
    def __init__(self, known: Mapping[Question, bool]) -> None:
        self._known = known

    def get_now(self, user_id: str, permission: str, object_type: str, object_id: str) -> bool:
        return self._known.get((user_id, permission, object_type, object_id), False)


def _unknown(*_question: str) -> None:
    return None

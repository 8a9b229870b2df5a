"""Who calls, what they are answered, and what the services need of others."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from channels.policy import Principal
from channels.tasks.conflict import Resolution
from channels.tasks.model import User

#: One question of a permission checker: user, permission, object type, object id.
Question = tuple[str, str, str, str]


class Caller(NamedTuple):
    """A verified user: how events name them, and by what they are judged.

    ``session`` is a name for the session they call from, if that is known.
    """

    user: User
    principal: Principal
    session: str | None = None


class Reply(NamedTuple):
    """What an operation answers.

    Attributes:
        status: As in HTTP: 200, or 201 for something created.
        body: To be encoded as JSON; redacted for this caller already.
        version: The task's version, for ``ETag``; None if the body is no single task.
    """

    status: int
    body: Mapping[str, Any]
    version: int | None = None


class Permissions(Protocol):
    """Answers questions of permission from relations."""

    async def answers(self, questions: Sequence[Question]) -> Sequence[bool]:
        """Return the answers, in order. An error means no to all."""


class Disclosures(Protocol):
    """Is told what PHI leaves, before it does."""

    async def shown(self, caller: Caller, kind: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """Note that ``caller`` is about to be shown ``documents`` of one ``kind`` in full.

        An error means that nothing is shown.
        """


class ConflictObserver(Protocol):
    """Counts conflicts."""

    def detected(self) -> None:
        """Somebody was told of a conflict."""

    def resolved(self, resolution: Resolution) -> None:
        """A conflict was resolved."""


class SignsOfLife(Protocol):
    """Is told what sessions do on tasks: who does something there is there."""

    def renew(self, presence_id: str, user_id: str, task_id: str) -> None:
        """Take a call as a sign of life of its session (:attr:`Caller.session`). Returns at once."""


class Unobserved:
    """A :class:`Disclosures`, :class:`ConflictObserver` and :class:`SignsOfLife` that nobody reads."""

    async def shown(self, caller: Caller, kind: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """See :class:`Disclosures`."""

    def detected(self) -> None:
        """See :class:`ConflictObserver`."""

    def resolved(self, resolution: Resolution) -> None:
        """See :class:`ConflictObserver`."""

    def renew(self, presence_id: str, user_id: str, task_id: str) -> None:
        """See :class:`SignsOfLife`."""


#: Makes an id that nobody has, beginning with a word that says of what.
NewId = Callable[[str], str]
#: One operation: takes the caller, a body that has passed its schema, and maybe an idempotency key.
Operation = Callable[[Caller, Mapping[str, Any], str | None], Awaitable[Reply]]


def random_id(kind: str) -> str:
    """Return ``kind``, an underscore and 32 random hexadecimal digits."""
    return f"{kind}_{uuid4().hex}"

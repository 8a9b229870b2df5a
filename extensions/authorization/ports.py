"""What the server needs of something that knows permissions."""

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol

from bayeux_server.errors import BayeuxError


class Check(NamedTuple):
    """One question: has the user ``permission`` on the object?"""

    user_id: str
    permission: str
    object_type: str
    object_id: str


class CheckerUnavailableError(BayeuxError):
    """The checker cannot answer now. Whoever asked takes it for a no."""


class Watcher(Protocol):
    """Who keeps decisions, and must hear when they stop being true. Called on the event loop; returns at once."""

    def changed(self, objects: frozenset[tuple[str, str]], types: frozenset[str], token: str | None) -> None:
        """Decisions on these (type, id), and on every object of these types, may have changed.

        ``token`` is the state of the checker's store that has the change, for :meth:`PermissionChecker.check_bulk`.
        """

    def watching(self, *, alive: bool, token: str | None = None) -> None:
        """The stream of changes broke, or is whole again from the state of ``token`` on: no older decision counts."""


class PermissionChecker(Protocol):
    """Answers from relations.

    Contract: ``tests/contracts/permission_checker.py``. An adapter that does not run it is not an adapter.
    """

    async def start(self, watcher: Watcher) -> None:
        """Begin: load or connect, and watch for changes. Returns whether or not the store can be reached yet.

        ``watcher`` hears ``watching(alive=True)`` as soon as no change can be missed any more.
        """

    async def stop(self) -> None:
        """Stop watching and release what is held."""

    def unready(self) -> str | None:
        """Return why it cannot answer now, None if it can."""

    def holders_now(
        self, user_ids: Collection[str], permission: str, object_type: str, object_id: str
    ) -> AbstractSet[str] | None:
        """Return those of the users who have the permission if that takes no I/O; None if it must be asked for."""

    async def check_bulk(self, checks: Sequence[Check], *, at_least: str | None = None) -> list[bool]:
        """Return the answers, in order.

        Args:
            checks: Any number; long lists are divided.
            at_least: A token: answer from a state as new as that. None for the state that is quickest at hand.

        Raises:
            CheckerUnavailableError: If it cannot answer all of them, or not in time.
        """

"""``task.base_moved`` goes to those who edit the task, but for the session that changed it, and to nobody else."""

from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View, ViewPolicy
from bayeux_server.server.session import ServerSession

_MARK = b"task.base_moved"


class _Typed(msgspec.Struct):
    type: str
    task_id: str
    changed_in: str | None = None


class EditorsOnly:
    """A view policy that narrows the audience of ``task.base_moved`` to editing sessions before another divides it.

    Args:
        is_warned: Such as :meth:`extensions.presence.extension.PresenceExtension.is_warned`.
        then: Who divides what is left; None shows it whole.
    """

    def __init__(
        self, is_warned: Callable[[ServerSession, str, str | None], bool], then: ViewPolicy | None = None
    ) -> None:
        self._is_warned = is_warned
        self._then = then

    def views(
        self, publication: Publication, audience: Collection[ServerSession]
    ) -> Sequence[View] | Awaitable[Sequence[View]]:
        """Return the views; of anything else than ``task.base_moved`` all of the other policy's."""
        moved = _moved(publication.data)
        if moved is not None:
            audience = [each for each in audience if self._is_warned(each, moved.task_id, moved.changed_in)]
        if self._then is None:
            return [(publication, audience)]
        return self._then.views(publication, audience)


def _moved(data: bytes) -> _Typed | None:
    # The search is a hundred times cheaper than decoding, and nearly always the end of it.
    if _MARK not in data:
        return None
    try:
        found = msgspec.json.decode(data, type=_Typed)
    except msgspec.ValidationError:
        return None
    return found if found.type == _MARK.decode() else None

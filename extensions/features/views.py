"""Events of a feature go to those who have it."""

from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View, ViewPolicy
from bayeux_server.server.session import ServerSession
from channels.features import Feature, of_event


class _Typed(msgspec.Struct):
    type: str = ""


class FeatureViews:
    """A view policy that narrows the audience to who has an event's feature before another policy divides it.

    Args:
        lacking: The sessions that lack a feature; empty while everybody has everything, which costs nothing then.
        has: Whether a session has a feature.
        then: Who divides what is left; None shows it whole.
    """

    def __init__(
        self,
        lacking: Collection[ServerSession],
        has: Callable[[ServerSession, Feature], bool],
        then: ViewPolicy | None,
    ) -> None:
        self._lacking = lacking
        self._has = has
        self._then = then

    def views(
        self, publication: Publication, audience: Collection[ServerSession]
    ) -> Sequence[View] | Awaitable[Sequence[View]]:
        """Return the other policy's views of who is left. What has no readable type is left to that policy."""
        if self._lacking:
            feature = feature_of(publication.channel.segments[0], publication.data)
            if feature is not None:
                audience = [each for each in audience if each not in self._lacking or self._has(each, feature)]
        if self._then is None:
            return [(publication, audience)]
        return self._then.views(publication, audience)


def feature_of(root: str, data: bytes) -> Feature | None:
    """Return the feature of an event on a channel beginning with ``root``; None if it belongs to none."""
    try:
        event_type = msgspec.json.decode(data, type=_Typed).type if root == "task" else ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        event_type = ""
    return of_event(root, event_type)

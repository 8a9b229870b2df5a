"""The feed in the words for each reader, live as over HTTP: who was given a task reads "assigned task to you"."""

import asyncio
import inspect
from collections.abc import Awaitable, Collection, Sequence
from typing import Final

import msgspec

from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View, ViewPolicy
from bayeux_server.server.session import ServerSession
from channels.activity import addressee_of, in_words_for

_MARK: Final = b"task_assigned"

_Views = Sequence[View] | Awaitable[Sequence[View]]


class InReadersWords:
    """A view policy that takes the addressee of an entry out of the audience before another divides both parts.

    Args:
        then: Who divides them.
    """

    def __init__(self, then: ViewPolicy) -> None:
        self._then = then

    def views(self, publication: Publication, audience: Collection[ServerSession]) -> _Views:
        """See :meth:`ViewPolicy.views`."""
        # The search is a hundred times cheaper than decoding, and mostly the end of it.
        if _MARK not in publication.data:
            return self._then.views(publication, audience)
        try:
            entry = msgspec.json.decode(publication.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            entry = None
        user_id = addressee_of(entry) if isinstance(entry, dict) else None
        theirs = [each for each in audience if each.identity is not None and each.identity.user_id == user_id]
        if user_id is None or not theirs:
            return self._then.views(publication, audience)
        data = msgspec.json.encode(in_words_for(user_id, entry))
        reworded = msgspec.structs.replace(publication, data=data)
        others = [each for each in audience if each not in theirs]
        return _joined(self._then.views(reworded, theirs), self._then.views(publication, others))


def _joined(theirs: _Views, others: _Views) -> _Views:
    if inspect.isawaitable(theirs) or inspect.isawaitable(others):
        return _joined_later(theirs, others)
    return [*theirs, *others]


async def _joined_later(*parts: _Views) -> Sequence[View]:
    return [view for views in await asyncio.gather(*map(_known, parts)) for view in views]


async def _known(part: _Views) -> Sequence[View]:
    return await part if inspect.isawaitable(part) else part

"""Channel names, parsed once."""

import re
from enum import Enum
from functools import lru_cache
from typing import Final

from bayeux_server.errors import RemoteError

#: Bayeux 1.0: channel_segment = 1*token, token = ALPHA / DIGIT / "-_!~()$@".
STRICT_SEGMENT: Final = re.compile(r"[A-Za-z0-9\-_!~()$@]+")
#: What CometD lets through besides, and so what pages in the field use.
WIDE_SEGMENT: Final = re.compile(r"[A-Za-z0-9\-_!~()$@ #+.{}]+")

DEFAULT_MAX_LENGTH: Final = 255
DEFAULT_MAX_SEGMENTS: Final = 32


class ChannelKind(Enum):
    """What a channel's first segment makes of it."""

    META = "meta"
    SERVICE = "service"
    BROADCAST = "broadcast"


class ChannelId:
    """A channel name or pattern that has passed the grammar.

    Two ids are equal when their names are. ``is_pattern`` is true for ``/a/*`` (one more segment) and ``/a/**`` (one or
    more); a pattern's own kind is that of its first segment.
    """

    __slots__ = ("_matching", "is_pattern", "json", "kind", "name", "segments")

    def __init__(self, name: str, segments: tuple[str, ...]) -> None:
        self.name = name
        self.segments = segments
        self.is_pattern = segments[-1] in ("*", "**")
        self.kind = _KINDS.get(segments[0], ChannelKind.BROADCAST)
        #: The name as JSON. The grammar has no character that JSON escapes.
        self.json = b'"%b"' % name.encode("ascii")
        self._matching: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"ChannelId({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChannelId) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def matching(self) -> tuple[str, ...]:
        """Return every subscription name that an event on this channel reaches, the exact one first.

        ``/a/b`` gives ``/a/b``, ``/a/*``, ``/a/**``, ``/**``: as many look-ups as the channel has segments, however
        many patterns are subscribed. Meta and service channels are reached by their own name only.
        """
        if self._matching is None:
            self._matching = self._names()
        return self._matching

    def _names(self) -> tuple[str, ...]:
        if self.kind is not ChannelKind.BROADCAST:
            return (self.name,)
        parents = ["/" + "/".join(self.segments[:depth]) if depth else "" for depth in range(len(self.segments))]
        return (self.name, f"{parents[-1]}/*", *(f"{parent}/**" for parent in reversed(parents)))


class ChannelGrammar:
    """Parses channel names within limits. One per server; results are kept, the least used forgotten.

    Args:
        wide: Accept the characters CometD accepts beyond the Bayeux grammar.
        max_length: Characters a name may have.
        max_segments: Segments a name may have.
    """

    def __init__(
        self, *, wide: bool = True, max_length: int = DEFAULT_MAX_LENGTH, max_segments: int = DEFAULT_MAX_SEGMENTS
    ) -> None:
        self._segment = WIDE_SEGMENT if wide else STRICT_SEGMENT
        self._max_length = max_length
        self._max_segments = max_segments
        self.parse = lru_cache(maxsize=65_536)(self._parse)

    def _parse(self, name: str) -> ChannelId:
        """Return the channel called ``name``.

        Raises:
            RemoteError: 405, if the grammar or a limit refuses it.
        """
        segments = tuple(name.split("/"))
        if len(name) > self._max_length or not 2 <= len(segments) <= self._max_segments + 1 or segments[0]:
            raise RemoteError(405, [name], "channel_invalid")
        segments = segments[1:]
        named = segments[:-1] if segments[-1] in ("*", "**") else segments
        if not all(map(self._segment.fullmatch, named)):
            raise RemoteError(405, [name], "channel_invalid")
        return ChannelId(name, segments)


_KINDS: Final = {"meta": ChannelKind.META, "service": ChannelKind.SERVICE}

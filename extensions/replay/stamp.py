"""The id of an event: where it is written, and the form in which the history keeps the event."""

from collections.abc import Iterable
from typing import Final

import msgpack
import msgspec
from msgspec import UNSET, Raw, UnsetType

from bayeux_server.ports import Place
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication

#: Begins a kept publication that has fields of ``ext``; no JSON text begins so.
_WITH_EXT: Final = b"\x00"
#: Places that may have to be tried to find the event's own bytes; more have no payload but a hostile one.
_MAX_TRIES: Final = 8


class _Payload(msgspec.Struct):
    event: Raw | UnsetType = UNSET


_decode: Final = msgspec.json.Decoder(_Payload).decode


class Stamp:
    """Knows which channels are kept, and writes ids into their publications.

    Args:
        kept: Channels and patterns whose publications are kept.
        not_kept: Exceptions from them.
        replay_id_channels: Channels and patterns whose payloads get ``event.replayId``.
    """

    def __init__(self, kept: Iterable[str], not_kept: Iterable[str], replay_id_channels: Iterable[str]) -> None:
        self._kept = frozenset(kept)
        self._not_kept = frozenset(not_kept)
        self._replay_id_channels = frozenset(replay_id_channels)

    def keeps(self, channel: ChannelId) -> bool:
        """Whether publications of the channel are kept."""
        names = channel.matching()
        return not self._kept.isdisjoint(names) and self._not_kept.isdisjoint(names)

    def write(self, publication: Publication, event_id: int) -> Publication:
        """Return the publication with its id."""
        return self._write(publication, event_id, {"id": event_id})

    def write_place(self, publication: Publication, place: Place) -> Publication:
        """Return the publication with its place, as it goes from node to node; see :func:`take_place`."""
        return self._write(publication, place.id, {"id": place.id, "previous_id": place.previous_id})

    def _write(self, publication: Publication, event_id: int, fields: dict[str, int]) -> Publication:
        channel, data = publication.channel, publication.data
        if not self._replay_id_channels.isdisjoint(channel.matching()):
            data = with_replay_id(data, event_id)
        return Publication(channel, data, {**(publication.ext or {}), "replay": fields}, publication.lazy)


def take_place(publication: Publication) -> tuple[Publication, Place] | None:
    """Return a publication that has come from a node, with its id alone, and its place. None if it is not kept.

    Ids rose by one within their channels when nodes did not say which was the previous one.
    """
    event_id = read_id(publication)
    if publication.ext is None or event_id is None:
        return None
    place = Place(event_id, publication.ext["replay"].get("previous_id", event_id - 1))
    ext = {**publication.ext, "replay": {"id": event_id}}
    return Publication(publication.channel, publication.data, ext, publication.lazy), place


def with_gap(publication: Publication) -> Publication:
    """Return a publication that has an id, saying that something before it is missing."""
    ext = dict(publication.ext or {})
    return msgspec.structs.replace(publication, ext={**ext, "replay": {**ext["replay"], "gap": True}})


def read_id(publication: Publication) -> int | None:
    """Return the id a publication has."""
    if publication.ext is None or "replay" not in publication.ext:
        return None
    event_id: int = publication.ext["replay"]["id"]
    return event_id


def to_entry(publication: Publication) -> bytes:
    """Return a publication, before it has an id, as the history keeps it: its data alone wherever possible."""
    if not publication.ext:
        return publication.data
    packed: bytes = msgpack.packb([publication.data, dict(publication.ext)])
    return _WITH_EXT + packed


def from_entry(channel: ChannelId, entry: bytes) -> Publication:
    """Return the publication that was kept."""
    if not entry.startswith(_WITH_EXT):
        return Publication(channel, entry)
    data, ext = msgpack.unpackb(entry[1:])
    return Publication(channel, data, ext)


def with_replay_id(data: bytes, event_id: int) -> bytes:
    """Return an object payload with ``event.replayId``; everything else in it stays byte for byte.

    A payload that is no object, or whose ``event`` is none, is returned as it is.
    """
    text = data.strip()
    if not text.startswith(b"{"):
        return data
    event = _decode(text).event
    member = b'"replayId":%d' % event_id
    if event is UNSET:
        return _with_member(text, b'"event":{%b}' % member)
    raw = bytes(event)
    if not raw.startswith(b"{"):
        return data
    changed = _with_member(raw, member)
    start = -1
    for _ in range(_MAX_TRIES):
        start = text.find(raw, start + 1)
        if start < 0:
            break
        candidate = text[:start] + changed + text[start + len(raw) :]
        if _event_of(candidate) == changed:
            return candidate
    # Of two members with one name, every reader takes the last.
    return _with_member(text, b'"event":' + changed)


def _event_of(text: bytes) -> bytes | None:
    try:
        event = _decode(text).event
    except msgspec.DecodeError:
        return None  # the bytes stood within a string
    return None if event is UNSET else bytes(event)


def _with_member(text: bytes, member: bytes) -> bytes:
    """Return an object's JSON with one more member at its end."""
    head = text[:-1].rstrip()
    return head + (b"" if head == b"{" else b",") + member + b"}"

"""An event on its way to sessions, encoded once for all who share it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from bayeux_server.protocol.messages import Publication
from bayeux_server.protocol.wire import encode

#: Makes one transport's form, such as a WebSocket frame, of one event's JSON.
Form = Callable[[bytes], bytes]

_NO_EXT: Final[Mapping[str, Any]] = MappingProxyType({})


class Delivery:
    """One publication as one view of its audience gets it.

    Extensions add fields before the first session takes it; nobody changes it after that.
    """

    __slots__ = ("_fields", "_forms", "_json", "channel", "data", "lazy")

    def __init__(self, publication: Publication) -> None:
        self.channel = publication.channel
        self.data = publication.data
        self.lazy = publication.lazy
        self._fields: dict[str, Any] | None = {"ext": dict(publication.ext)} if publication.ext else None
        self._json: bytes | None = None
        self._forms: dict[Form, bytes] = {}

    def add(self, name: str, value: object) -> None:
        """Set a field beside ``channel`` and ``data``, such as ``timestamp``."""
        if self._fields is None:
            self._fields = {}
        self._fields[name] = value

    def extend(self, name: str, value: object) -> None:
        """Set one field of ``ext``."""
        if self._fields is None:
            self._fields = {}
        self._fields.setdefault("ext", {})[name] = value

    @property
    def ext(self) -> Mapping[str, Any]:
        """The fields of ``ext`` so far."""
        return self._fields.get("ext", _NO_EXT) if self._fields else _NO_EXT

    @property
    def json(self) -> bytes:
        """The event as a JSON object."""
        if self._json is None:
            head = b'{"channel":%b,"data":%b' % (self.channel.json, self.data)
            self._json = head + (b"," + encode(self._fields)[1:] if self._fields else b"}")
        return self._json

    @property
    def size_bytes(self) -> int:
        """Length of :attr:`json`."""
        return len(self.json)

    def form(self, make: Form) -> bytes:
        """Return the event in a transport's form, made on the first call for that form."""
        form = self._forms.get(make)
        if form is None:
            form = self._forms[make] = make(self.json)
        return form

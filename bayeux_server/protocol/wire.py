"""Bayeux as JSON: the only place that reads or writes it.

One typed pass reads a batch. Only when that fails is every member read by itself, so that a bad one is answered with
the name of its field and the others go on.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from bayeux_server.errors import BodyError, RemoteError
from bayeux_server.protocol.advice import ClientAdvice
from bayeux_server.protocol.channel_id import ChannelGrammar, ChannelId, ChannelKind
from bayeux_server.protocol.envelope import Envelope, LooseEnvelope
from bayeux_server.protocol.messages import (
    META_CONNECT,
    META_DISCONNECT,
    META_HANDSHAKE,
    META_SUBSCRIBE,
    META_UNSUBSCRIBE,
    Connect,
    Disconnect,
    Ext,
    Handshake,
    Incoming,
    Malformed,
    Message,
    Publish,
    Reply,
    Subscribe,
    Unsubscribe,
)
from bayeux_server.protocol.surrogates import mark_lone_surrogates

DEFAULT_MAX_DEPTH: Final = 64
MAX_ID_BYTES: Final = 1_024
VERSION_NUMBER: Final = re.compile(r"\d+(\.[A-Za-z0-9_-]+)*")

encode: Final = msgspec.json.Encoder().encode


#: The fields that every kind of :class:`Message` has.
_Head = dict[str, Any]


_decode_body: Final = msgspec.json.Decoder(list[Envelope] | Envelope).decode
_decode_raw: Final = msgspec.json.Decoder(Raw).decode
_decode_raws: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_one: Final = msgspec.json.Decoder(Envelope).decode
_decode_loose: Final = msgspec.json.Decoder(LooseEnvelope).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_texts: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_advice: Final = msgspec.json.Decoder(ClientAdvice | None).decode
_decode_ext: Final = msgspec.json.Decoder(Ext | None).decode


class Reader:
    """Reads bodies and frames within limits.

    Args:
        grammar: Parses channel names.
        max_depth: Levels of arrays and objects one field may have.
        max_messages: Messages one batch may have.
    """

    def __init__(
        self, grammar: ChannelGrammar, *, max_depth: int = DEFAULT_MAX_DEPTH, max_messages: int = 1_000
    ) -> None:
        self._grammar = grammar
        self._max_depth = max_depth
        self.max_messages = max_messages
        self._kinds: dict[str, Callable[[Envelope, _Head], Message]] = {
            META_HANDSHAKE: _handshake,
            META_CONNECT: _connect,
            META_SUBSCRIBE: _subscribe,
            META_UNSUBSCRIBE: _unsubscribe,
            META_DISCONNECT: _disconnect,
        }

    def read(self, body: bytes) -> list[Incoming]:
        """Return the messages of a JSON array of messages, or of a single message object.

        Raises:
            BodyError: If the body is no such JSON, or has more messages than allowed.
        """
        check_utf8(body)
        return [each if isinstance(each, Malformed) else self.parse(each) for each in self._envelopes(body)]

    def _envelopes(self, body: bytes) -> list[Envelope | Malformed]:
        try:
            envelopes = _members(body)
        except msgspec.DecodeError as error:
            marked = mark_lone_surrogates(body)
            if marked is None:
                raise BodyError(str(error)) from None
            envelopes = [_without_mark(member, marked.mark) for member in self._envelopes(marked.body)]
        except UnicodeDecodeError:
            raise BodyError("the text is not UTF-8") from None
        except RecursionError:
            raise BodyError("arrays and objects are nested too deeply") from None
        if len(envelopes) > self.max_messages:
            raise BodyError(f"a batch has at most {self.max_messages} messages", too_big=True)
        return envelopes

    def parse(self, envelope: Envelope) -> Incoming:
        """Return the message of the kind its channel says, or what is wrong with it."""
        try:
            return self._parse(envelope)
        except RemoteError as error:
            return _malformed(envelope, error)

    def _parse(self, envelope: Envelope) -> Message:
        if envelope.channel is UNSET:
            raise RemoteError(402, ["channel"], "missing")
        head: _Head = {
            "channel": self._grammar.parse(envelope.channel),
            "id": _id(envelope.id),
            "client_id": envelope.clientId or None,
            "ext": None if envelope.ext is UNSET else self._checked("ext", envelope.ext, _decode_ext, "an object"),
        }
        kind = self._kinds.get(envelope.channel)
        if kind is not None:
            return kind(envelope, head)
        return self._publish(envelope, head)

    def _publish(self, envelope: Envelope, head: _Head) -> Publish:
        channel: ChannelId = head["channel"]
        if channel.kind is ChannelKind.META:
            # Exact names only: anything else below /meta slipped past Faye's checks (CVE-2020-11020).
            raise RemoteError(403, [channel.name], "channel_denied")
        if channel.is_pattern:
            raise RemoteError(405, [channel.name], "channel_invalid")
        if envelope.data is UNSET:
            raise RemoteError(402, ["data"], "missing")
        self._check_depth("data", envelope.data)
        return Publish(**head, data=envelope.data)

    def _checked(self, field: str, raw: Raw, decode: Callable[[Raw], Any], wanted: str) -> Any:
        self._check_depth(field, raw)
        return _field(field, raw, decode, wanted)

    def _check_depth(self, field: str, raw: Raw) -> None:
        text = bytes(raw)
        # As many brackets as levels are allowed cannot nest deeper: two counts in C settle nearly every message.
        if text.count(b"[") + text.count(b"{") > self._max_depth and depth_of(text) > self._max_depth:
            raise RemoteError(402, [field], f"nested deeper than {self._max_depth} levels")


def check_utf8(text: bytes) -> None:
    """See that a text is UTF-8: a decoder does not look into what it leaves raw, and a bad frame closes sockets.

    Raises:
        BodyError: If it is not.
    """
    try:
        text.decode()
    except UnicodeDecodeError:
        raise BodyError("the text is not UTF-8") from None


def write(replies: Iterable[Reply | bytes]) -> bytes:
    """Return a JSON array of replies and of events that are JSON already."""
    return b"[%b]" % b",".join([item if isinstance(item, bytes) else encode(item) for item in replies])


def depth_of(text: bytes) -> int:
    """Return how deeply arrays and objects nest in a valid JSON text."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS: Final = re.compile(rb"[\[\]{}]")


def _handshake(envelope: Envelope, head: _Head) -> Handshake:
    version = _required("version", envelope.version, _decode_text, "a string")
    minimum = envelope.minimumVersion
    oldest = None if minimum is UNSET else _field("minimumVersion", minimum, _decode_text, "a string")
    for name, number in (("version", version), ("minimumVersion", oldest)):
        if number is not None and not VERSION_NUMBER.fullmatch(number):
            raise RemoteError(402, [name], "not a version number")
    types = _required("supportedConnectionTypes", envelope.supportedConnectionTypes, _decode_texts, "a list of strings")
    if not types:
        raise RemoteError(402, ["supportedConnectionTypes"], "empty")
    return Handshake(
        **head,
        version=version,
        minimum_version=oldest,
        supported_connection_types=types,
        advice=_advice(envelope.advice),
    )


def _connect(envelope: Envelope, head: _Head) -> Connect:
    return Connect(
        **head,
        connection_type=_required("connectionType", envelope.connectionType, _decode_text, "a string"),
        advice=_advice(envelope.advice),
    )


def _subscribe(envelope: Envelope, head: _Head) -> Subscribe:
    subscription, names = _subscription(envelope.subscription)
    return Subscribe(**head, subscription=subscription, names=names)


def _unsubscribe(envelope: Envelope, head: _Head) -> Unsubscribe:
    subscription, names = _subscription(envelope.subscription)
    return Unsubscribe(**head, subscription=subscription, names=names)


def _disconnect(_envelope: Envelope, head: _Head) -> Disconnect:
    return Disconnect(**head)


def _subscription(raw: Raw | UnsetType) -> tuple[Raw, tuple[str, ...]]:
    if raw is UNSET:
        raise RemoteError(402, ["subscription"], "missing")
    if bytes(raw).startswith(b'"'):
        return raw, (_field("subscription", raw, _decode_text, "a string or a list of strings"),)
    names = _field("subscription", raw, _decode_texts, "a string or a list of strings")
    if not names:
        raise RemoteError(403, (), "subscription_invalid")
    return raw, names


def _advice(raw: Raw | UnsetType) -> ClientAdvice | None:
    return None if raw is UNSET else _field("advice", raw, _decode_advice, "an object whose times are numbers")


def _id(raw: Raw | UnsetType) -> Raw | None:
    if raw is UNSET:
        return None
    text = bytes(raw)
    if text[:1] not in _ID_STARTS or len(text) > MAX_ID_BYTES:
        raise RemoteError(402, ["id"], f"must be a string or a number of at most {MAX_ID_BYTES} bytes")
    return raw


#: A string, a number, or null, which is an id like any other.
_ID_STARTS: Final = frozenset(bytes([start]) for start in b'"-0123456789n')


def _required(field: str, raw: Raw | UnsetType, decode: Callable[[Raw], Any], wanted: str) -> Any:
    if raw is UNSET:
        raise RemoteError(402, [field], "missing")
    return _field(field, raw, decode, wanted)


def _field(field: str, raw: Raw, decode: Callable[[Raw], Any], wanted: str) -> Any:
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RemoteError(402, [field], f"must be {wanted}") from None


def _members(body: bytes) -> list[Envelope | Malformed]:
    try:
        decoded = _decode_body(body)
    except msgspec.ValidationError:
        return _members_one_by_one(body)
    return decoded if type(decoded) is list else [decoded]


def _members_one_by_one(body: bytes) -> list[Envelope | Malformed]:
    whole = _decode_raw(body)
    body = body.strip()
    if body.startswith(b"{"):
        return [_member(whole)]
    if not body.startswith(b"["):
        raise BodyError("a batch is an array of messages, or one message")
    return [_member(raw) for raw in _decode_raws(body)]


def _member(raw: Raw) -> Envelope | Malformed:
    try:
        return _decode_one(raw)
    except msgspec.ValidationError as error:
        return _mistyped(raw, str(error))


def _mistyped(raw: Raw, complaint: str) -> Malformed:
    try:
        loose = _decode_loose(raw)
    except msgspec.ValidationError:
        return Malformed(error=str(RemoteError(402, (), "message_invalid")))
    field = _FIELD_OF_COMPLAINT.search(complaint)
    arguments = [field[1]] if field else []
    return Malformed(
        error=str(RemoteError(402, arguments, "must be a string")),
        channel=_text_or_none(loose.channel),
        id=_echo_id(loose.id),
        client_id=_text_or_none(loose.clientId),
        subscription=None if loose.subscription is UNSET else loose.subscription,
    )


_FIELD_OF_COMPLAINT: Final = re.compile(r"`\$\.(\w+)`")


def _text_or_none(raw: Raw | UnsetType) -> str | None:
    if raw is UNSET:
        return None
    try:
        return _decode_text(raw)
    except msgspec.DecodeError:
        return None


def _echo_id(raw: Raw | UnsetType) -> Raw | None:
    try:
        return _id(raw)
    except RemoteError:
        return None


def _malformed(envelope: Envelope, error: RemoteError) -> Malformed:
    return Malformed(
        error=str(error),
        channel=None if envelope.channel is UNSET else envelope.channel,
        id=_echo_id(envelope.id),
        client_id=envelope.clientId or None,
        subscription=None if envelope.subscription is UNSET else envelope.subscription,
    )


def _without_mark(member: Envelope | Malformed, mark: bytes) -> Envelope | Malformed:
    if isinstance(member, Malformed):
        return member
    for field in member.__struct_fields__:
        value = getattr(member, field)
        if isinstance(value, Raw) and mark in bytes(value):
            reply = _malformed(member, RemoteError(402, [field], "half of a surrogate pair"))
            # What carries the mark is not what the client sent.
            return msgspec.structs.replace(
                reply,
                id=None if field == "id" else reply.id,
                subscription=None if field == "subscription" else reply.subscription,
            )
    return member

import pytest

from bayeux_server.errors import BodyError
from bayeux_server.protocol.advice import Advice
from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import (
    Connect,
    Disconnect,
    Handshake,
    Malformed,
    Message,
    Publish,
    Reply,
    Subscribe,
    Unsubscribe,
)
from bayeux_server.protocol.wire import Reader, depth_of, write


def _read(text: str) -> list[object]:
    return list(Reader(ChannelGrammar()).read(text.encode()))


def _error(text: str) -> str:
    [message] = _read(text)
    assert isinstance(message, Malformed)
    return message.error


class TestReading:
    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ('{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["x"]}', Handshake),
            ('{"channel":"/meta/connect","connectionType":"websocket","advice":{"timeout":0}}', Connect),
            ('{"channel":"/meta/connect","connectionType":"websocket","advice":null}', Connect),
            ('{"channel":"/meta/subscribe","subscription":"/a"}', Subscribe),
            ('{"channel":"/meta/unsubscribe","subscription":["/a","/b"]}', Unsubscribe),
            ('{"channel":"/meta/disconnect"}', Disconnect),
            ('{"channel":"/a","data":null}', Publish),
            ('{"channel":"/service/a","data":{},"ext":null,"unknown":[1]}', Publish),
        ],
    )
    def test_each_channel_makes_its_kind_of_message(self, text: str, kind: type[Message]) -> None:
        assert [type(message) for message in _read(text)] == [kind]

    @pytest.mark.parametrize("text", ["", "{", "[", "5", '"a"', "null", "[1,]", "[5,{]", "\ufeff[]", "[" * 100_000])
    def test_what_is_no_batch_is_refused_as_a_whole(self, text: str) -> None:
        with pytest.raises(BodyError) as refusal:
            _read(text)
        assert not refusal.value.too_big

    def test_what_is_not_utf_8_is_refused_as_a_whole(self) -> None:
        for body in (b'["\xff"]', b'[{"channel":"\xff","data":1}]', b"\xff"):
            with pytest.raises(BodyError):
                Reader(ChannelGrammar()).read(body)

    def test_too_many_messages_are_too_big(self) -> None:
        reader = Reader(ChannelGrammar(), max_messages=2)
        assert len(reader.read(b"[{},{}]")) == 2
        with pytest.raises(BodyError) as refusal:
            reader.read(b"[{},5,{}]")
        assert refusal.value.too_big

    def test_empty_array_has_no_messages(self) -> None:
        assert _read(" [] ") == []

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("{}", "402:channel:missing"),
            ('{"channel":5}', "402:channel:must be a string"),
            ('{"channel":null}', "402:channel:must be a string"),
            ('{"channel":"/a","data":1,"clientId":[]}', "402:clientId:must be a string"),
            ('{"channel":"/a","data":1,"id":true}', "402:id:must be a string or a number of at most 1024 bytes"),
            ('{"channel":"/a","data":1,"id":{}}', "402:id:must be a string or a number of at most 1024 bytes"),
            ('{"channel":"/a","data":1,"ext":[]}', "402:ext:must be an object"),
            ('{"channel":"/a"}', "402:data:missing"),
            ('{"channel":"/a/*","data":1}', "405:/a/*:channel_invalid"),
            ('{"channel":"/meta/x","data":1}', "403:/meta/x:channel_denied"),
            ('{"channel":"/meta/connect"}', "402:connectionType:missing"),
            ('{"channel":"/meta/connect","connectionType":1}', "402:connectionType:must be a string"),
            (
                '{"channel":"/meta/connect","connectionType":"x","advice":5}',
                "402:advice:must be an object whose times are numbers",
            ),
            ('{"channel":"/meta/subscribe"}', "402:subscription:missing"),
            ('{"channel":"/meta/subscribe","subscription":[]}', "403::subscription_invalid"),
            (
                '{"channel":"/meta/subscribe","subscription":[1]}',
                "402:subscription:must be a string or a list of strings",
            ),
            ('{"channel":"/meta/handshake"}', "402:version:missing"),
            ('{"channel":"/meta/handshake","version":"x"}', "402:version:not a version number"),
            ('{"channel":"/meta/handshake","version":"1.0"}', "402:supportedConnectionTypes:missing"),
            (
                '{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":[]}',
                "402:supportedConnectionTypes:empty",
            ),
            (
                '{"channel":"/meta/handshake","version":"1.0","minimumVersion":"x","supportedConnectionTypes":["x"]}',
                "402:minimumVersion:not a version number",
            ),
            ("[5]", "402::message_invalid"),
            ("[[]]", "402::message_invalid"),
        ],
    )
    def test_mistake_is_named_by_its_field(self, text: str, error: str) -> None:
        assert _error(text) == error

    def test_mistake_leaves_what_can_be_echoed(self) -> None:
        [message] = _read('{"channel":"/meta/subscribe","id":7,"clientId":"c","subscription":[],"ext":{}}')
        assert isinstance(message, Malformed)
        assert (message.channel, message.client_id) == ("/meta/subscribe", "c")
        assert (bytes(message.id or b""), bytes(message.subscription or b"")) == (b"7", b"[]")

    def test_mistakes_leave_the_others_alone(self) -> None:
        kinds = [type(message) for message in _read('[5,{"channel":"/a","data":1},{"channel":1},{}]')]
        assert kinds == [Malformed, Publish, Malformed, Malformed]

    def test_half_a_surrogate_pair_refuses_its_message_alone(self) -> None:
        first, second, third = _read(
            r'[{"channel":"/a","data":"\ud800"},{"channel":"/a","data":"\ud83d\ude00 \\ud800"},'
            r'{"channel":"/a","data":1}]'
        )
        assert isinstance(first, Malformed)
        assert first.error == "402:data:half of a surrogate pair"
        assert isinstance(second, Publish)
        assert bytes(second.data) == rb'"\ud83d\ude00 \\ud800"'
        assert isinstance(third, Publish)

    def test_half_a_surrogate_pair_beside_a_wrong_member_does_the_same(self) -> None:
        kinds = [type(message) for message in _read(r'[5,{"channel":"/a","data":"\udc00"},{"channel":"/a","data":1}]')]
        assert kinds == [Malformed, Malformed, Publish]

    def test_depth_is_bounded_per_field_and_brackets_in_strings_do_not_count(self) -> None:
        reader = Reader(ChannelGrammar(), max_depth=2)
        fine, deep = reader.read(b'[{"channel":"/a","data":["[[[[",{"a":"\\"[["}]},{"channel":"/a","data":[[[]]]}]')
        assert isinstance(fine, Publish)
        assert isinstance(deep, Malformed)
        assert deep.error == "402:data:nested deeper than 2 levels"


class TestWriting:
    def test_leaves_out_what_is_not_set(self) -> None:
        assert write([Reply(channel="/a", successful=True)]) == b'[{"channel":"/a","successful":true}]'

    def test_keeps_events_as_they_are(self) -> None:
        assert write([b'{"data":1e2}', Reply(successful=False)]) == b'[{"data":1e2},{"successful":false}]'

    def test_advice_is_complete_and_short(self) -> None:
        advice = Advice("retry", 0, 25_000)
        assert write([Reply(advice=advice)]) == b'[{"advice":{"reconnect":"retry","interval":0,"timeout":25000}}]'

    def test_extensions_share_one_ext(self) -> None:
        reply = Reply()
        reply.extend("ack", 1)
        reply.extend("replay", True)
        assert write([reply]) == b'[{"ext":{"ack":1,"replay":true}}]'


class TestDepth:
    @pytest.mark.parametrize(("text", "depth"), [(b"1", 0), (b"[]", 1), (b'{"a":[1,{}]}', 3), (b'"[["', 0)])
    def test_is_counted(self, text: bytes, depth: int) -> None:
        assert depth_of(text) == depth

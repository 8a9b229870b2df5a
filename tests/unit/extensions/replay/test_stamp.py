import json

from hypothesis import given
from hypothesis import strategies as st

from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import Publication
from extensions.replay.stamp import Stamp, from_entry, read_id, to_entry, with_gap, with_replay_id

GRAMMAR = ChannelGrammar()
A = GRAMMAR.parse("/a/b")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.just("event"), inner),
    max_leaves=10,
)


class TestReplayId:
    def test_it_is_added_to_the_event(self) -> None:
        data = b'{"event": {"x" : 1.0 } , "payload":{"n":1e2}}'
        assert with_replay_id(data, 7) == b'{"event": {"x" : 1.0,"replayId":7} , "payload":{"n":1e2}}'

    def test_an_event_is_made_where_there_is_none(self) -> None:
        assert with_replay_id(b'{"payload":1}', 7) == b'{"payload":1,"event":{"replayId":7}}'
        assert with_replay_id(b"{}", 7) == b'{"event":{"replayId":7}}'
        assert with_replay_id(b'{"event":{}}', 7) == b'{"event":{"replayId":7}}'

    def test_what_is_no_object_stays_as_it_is(self) -> None:
        for data in (b"[1]", b'"{}"', b"null", b'{"event":5}', b'{"event":null}'):
            assert with_replay_id(data, 7) == data

    def test_ours_wins_over_one_that_was_there(self) -> None:
        changed = with_replay_id(b'{"event":{"replayId":1}}', 7)
        assert json.loads(changed)["event"]["replayId"] == 7

    def test_bytes_that_look_like_the_event_are_left_alone(self) -> None:
        data = b'{"a":"{}","b":[{}],"event":{},"c":{}}'
        assert json.loads(with_replay_id(data, 7)) == {"a": "{}", "b": [{}], "event": {"replayId": 7}, "c": {}}

    def test_a_payload_made_to_look_so_a_thousand_times_costs_no_thousand_tries(self) -> None:
        data = b'{"a":[' + b"{}," * 1_000 + b'{}],"event":{}}'
        assert json.loads(with_replay_id(data, 7))["event"] == {"replayId": 7}

    @given(JSON)
    def test_nothing_else_ever_changes(self, value: object) -> None:
        changed = json.loads(with_replay_id(json.dumps(value).encode(), 7))
        if not isinstance(value, dict) or not isinstance(value.get("event", {}), dict):
            assert changed == value
        else:
            assert changed == {**value, "event": {**value.get("event", {}), "replayId": 7}}


class TestStamp:
    def test_channels_are_kept_by_pattern_with_exceptions(self) -> None:
        stamp = Stamp(["/a/**", "/b"], ["/a/secret/*"], [])
        kept = [stamp.keeps(GRAMMAR.parse(name)) for name in ("/a/b", "/b", "/a/secret/x", "/c", "/b/c")]
        assert kept == [True, True, False, False, False]

    def test_the_id_joins_what_other_extensions_wrote(self) -> None:
        stamped = Stamp(["/**"], [], []).write(Publication(A, b"1", {"binary": {}}, lazy=True), 5)
        assert stamped == Publication(A, b"1", {"binary": {}, "replay": {"id": 5}}, lazy=True)
        assert read_id(stamped) == 5
        assert with_gap(stamped).ext == {"binary": {}, "replay": {"id": 5, "gap": True}}
        assert read_id(Publication(A, b"1")) is None

    def test_the_history_gives_back_what_it_was_given(self) -> None:
        for publication in (Publication(A, b'{"x":1.0}'), Publication(A, b'{"data":"xA"}', {"binary": {}})):
            assert from_entry(A, to_entry(publication)) == publication

import json

import pytest

from clients.load.mark import MARK_DIGITS, MIN_PAYLOAD_BYTES, SIGN, Stream, padding, parse_mark


def published(stream: Stream, scheduled_us: int) -> tuple[bytes, dict[str, object]]:
    message = stream.message(scheduled_us)
    return message, json.loads(message)


class TestMark:
    def test_a_message_carries_stream_number_and_time_where_a_slice_finds_them(self) -> None:
        stream = Stream(number=0xABCDE, channel="/load/all", publisher=3, next_sequence=17)
        stream.prepare("client", 300)

        message, _ = published(stream, 123_456_789)

        at = message.index(SIGN) + len(SIGN)
        assert parse_mark(message[at : at + MARK_DIGITS]) == (0xABCDE, 17, 123_456_789)

    def test_a_message_is_a_bayeux_publish_with_data_of_the_asked_size(self) -> None:
        stream = Stream(number=1, channel="/load/all", publisher=0)
        stream.prepare("client", 300)

        _, decoded = published(stream, 5)

        assert decoded["channel"] == "/load/all"
        assert decoded["clientId"] == "client"
        assert len(json.dumps(decoded["data"], separators=(",", ":"))) == 300

    def test_numbers_rise_by_one_with_each_message(self) -> None:
        stream = Stream(number=1, channel="/a", publisher=0)
        stream.prepare("client", 50)

        assert [published(stream, 0)[1]["id"] for _ in range(3)] == ["0", "1", "2"]
        assert stream.next_sequence == 3

    @pytest.mark.parametrize("digits", [b"", b"0" * (MARK_DIGITS - 1), b"g" * MARK_DIGITS])
    def test_digits_that_are_no_mark_are_refused(self, digits: bytes) -> None:
        with pytest.raises(ValueError, match=r".+"):
            parse_mark(digits)

    def test_there_is_no_padding_where_the_mark_alone_is_larger(self) -> None:
        assert padding(MIN_PAYLOAD_BYTES - 1) == ""
        assert len(padding(MIN_PAYLOAD_BYTES + 1_000)) == 1_000

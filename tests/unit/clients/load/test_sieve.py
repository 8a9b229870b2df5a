from clients.load.echo import server_frame
from clients.load.fleet import Fleet
from clients.load.mark import Stream
from clients.load.sieve import MEMORY_ENTRIES, SINGLE_FRAMES
from clients.load.target import resolve

PAYLOAD_BYTES = 80


def event(stream: Stream, data: bytes | None = None) -> bytes:
    message = stream.message(1_000)
    begin, end = message.index(b'"data":') + 7, message.index(b',"id":')
    return b'{"channel":"%b","data":%b}' % (stream.channel.encode(), data or message[begin:end])


def made() -> tuple[Fleet, Stream]:
    stream = Stream(number=2, channel="/load/all", publisher=0)
    stream.prepare("secret", PAYLOAD_BYTES)
    return Fleet(resolve("http://127.0.0.1:1/bayeux"), {2: stream}, PAYLOAD_BYTES, 0), stream


class TestSieve:
    def test_deliveries_are_found_in_their_order(self) -> None:
        fleet, stream = made()

        marks, replies = fleet.sieve.take(b"[%b,%b]" % (event(stream), event(stream)))

        assert (marks, replies) == ([(2, 0, 1_000), (2, 1, 1_000)], [])
        assert (fleet.sieve.malformed, fleet.sieve.foreign) == (0, 0)

    def test_replies_beside_deliveries_are_decoded(self) -> None:
        fleet, stream = made()

        marks, replies = fleet.sieve.take(b'[%b,{"channel":"/meta/connect","successful":true}]' % event(stream))

        assert len(marks) == 1
        assert replies == [{"channel": "/meta/connect", "successful": True}]

    def test_several_frames_are_scanned_at_once(self) -> None:
        fleet, stream = made()
        chunk = server_frame(b"[%b]" % event(stream)) + server_frame(b"[%b]" % event(stream))

        assert fleet.sieve.scan(chunk) == [(2, 0, 1_000), (2, 1, 1_000)]
        assert fleet.sieve.malformed == 0

    def test_frames_with_a_reply_are_not_scanned(self) -> None:
        fleet, _ = made()

        assert fleet.sieve.scan(server_frame(b'[{"channel":"/a","successful":true}]')) is None

    def test_a_changed_payload_is_altered(self) -> None:
        fleet, stream = made()

        fleet.sieve.take(b"[%b]" % event(stream).replace(b"quick", b"QUICK"))

        assert fleet.sieve.malformed == 1

    def test_another_channel_is_altered(self) -> None:
        fleet, stream = made()

        fleet.sieve.take(b"[%b]" % event(stream).replace(b"/load/all", b"/load/other"))

        assert fleet.sieve.malformed == 1

    def test_the_publishers_client_id_in_an_event_is_altered(self) -> None:
        fleet, stream = made()

        fleet.sieve.take(b"[%b]" % event(stream).replace(b'{"channel"', b'{"clientId":"secret","channel"', 1))

        assert fleet.sieve.malformed == 1

    def test_an_event_of_somebody_else_is_foreign(self) -> None:
        fleet, _ = made()

        assert fleet.sieve.take(b'[{"channel":"/load/all","data":1}]') == ([], [])
        assert fleet.sieve.foreign == 1

    def test_what_is_no_json_is_altered(self) -> None:
        fleet, _ = made()

        assert fleet.sieve.take(b"nonsense") == ([], [])
        assert fleet.sieve.take(b"[1]") == ([], [])
        assert fleet.sieve.malformed == 2

    def test_chunks_of_more_deliveries_than_come_again_are_not_remembered(self) -> None:
        fleet, _ = made()
        fleet.sieve.remembers = SINGLE_FRAMES

        fleet.sieve.remember(b"one", ((2, 0, 1_000),))
        fleet.sieve.remember(b"two", ((2, 0, 1_000), (2, 1, 1_000)))

        assert set(fleet.sieve.chunks) == {b"one"}

    def test_what_is_remembered_is_bounded(self) -> None:
        fleet, _ = made()
        for number in range(2 * MEMORY_ENTRIES):
            fleet.sieve.remember(b"%d" % number, ((2, number, 0),))

        assert len(fleet.sieve.chunks) <= MEMORY_ENTRIES

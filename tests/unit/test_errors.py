from bayeux_server.errors import RemoteError


class TestRemoteError:
    def test_is_written_as_bayeux_writes_errors(self) -> None:
        assert str(RemoteError(403, ["/foo"], "subscribe_denied")) == "403:/foo:subscribe_denied"
        assert str(RemoteError(402, (), "session_unknown")) == "402::session_unknown"
        assert str(RemoteError(301, ["a", "b"], "x")) == "301:a,b:x"

    def test_contains_what_the_client_sent(self) -> None:
        assert str(RemoteError(405, ["/a:b,c\r\nd"], "channel_invalid")) == "405:/a_b_c__d:channel_invalid"
        assert len(str(RemoteError(405, ["a" * 1_000], "x"))) < 300

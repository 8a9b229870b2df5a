from bayeux_server.transports.open_sockets import OpenSockets


class _Connection:
    def go_away(self) -> None:
        """Nobody asks it to."""


class TestOpenSockets:
    def test_counts_per_address_and_in_all(self) -> None:
        sockets = OpenSockets(2, 1)
        one, two = _Connection(), _Connection()
        assert sockets.full("a") is None
        sockets.add(one, "a")
        assert sockets.full("a") == "too_many_sockets_of_address"
        assert sockets.full("b") is None
        sockets.add(two, "b")
        assert sockets.full("c") == "too_many_sockets"
        sockets.discard(one, "a")
        assert sockets.full("a") is None
        assert len(sockets) == len(list(sockets)) == 1

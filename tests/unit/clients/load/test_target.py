import socket
from collections.abc import Iterator

import pytest

from clients.load.target import resolve

ADDRESSES = ("127.0.0.3", "127.0.0.1")


@pytest.fixture
def port() -> Iterator[int]:
    """A port that is served on 127.0.0.1 alone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class TestTarget:
    def test_an_address_that_nobody_serves_is_passed_over(self, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ADDRESSES]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: both)

        target = resolve(f"http://localhost:{port}/bayeux")

        assert (target.family, target.address) == (socket.AF_INET, ("127.0.0.1", port))

    def test_where_nobody_listens_the_first_address_is_as_good_as_any(self, monkeypatch: pytest.MonkeyPatch) -> None:
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 1)) for address in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: both)

        assert resolve("http://localhost:1/").address == ("127.0.0.2", 1)

    def test_a_path_keeps_its_query_and_a_host_its_port(self) -> None:
        target = resolve("http://127.0.0.1:8000/bayeux?a=b", ("Name: value",))

        assert (target.path, target.host, target.headers) == ("/bayeux?a=b", "127.0.0.1:8000", "Name: value\r\n")

    @pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1:8000", "http:///bayeux"])
    def test_what_is_no_url_of_a_server_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="expected http://"):
            resolve(url)

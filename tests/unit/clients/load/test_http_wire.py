import pytest

from clients.load.http_wire import request, request_head, take_response
from clients.load.target import resolve

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nSet-Cookie: a=1; HttpOnly\r\nset-cookie: b=2\r\n\r\n[{}]"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n[{\r\n2\r\n}]\r\n0\r\n\r\n"


class TestResponses:
    @pytest.mark.parametrize("whole", [SIZED, CHUNKED])
    def test_a_response_is_taken_when_it_is_whole_and_not_before(self, whole: bytes) -> None:
        for cut in range(len(whole)):
            assert take_response(whole[:cut]) is None

        taken = take_response(whole + b"next")

        assert taken is not None
        response, rest = taken
        assert (response.status, response.body, response.keep_alive, rest) == (200, b"[{}]", True, b"next")

    def test_cookies_are_kept_without_their_attributes(self) -> None:
        taken = take_response(SIZED)

        assert taken is not None
        assert taken[0].cookies == (b"a=1", b"b=2")

    def test_a_server_that_closes_says_so(self) -> None:
        taken = take_response(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

        assert taken is not None
        assert (taken[0].status, taken[0].keep_alive) == (503, False)

    def test_what_is_not_http_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"HTTP/1\.x"):
            take_response(b"SSH-2.0-OpenSSH\r\n\r\n")

    def test_a_request_carries_its_length_and_cookies(self) -> None:
        made = request(request_head(resolve("http://localhost/bayeux"), b"a=1"), b"[]")

        assert made.endswith(b"Cookie: a=1\r\nContent-Length: 2\r\n\r\n[]")


class TestTarget:
    @pytest.mark.parametrize("url", ["", "ftp://localhost/", "localhost:8000", "http:///bayeux"])
    def test_a_url_that_names_no_server_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="expected"):
            resolve(url)

    def test_a_header_cannot_bring_another_line(self) -> None:
        with pytest.raises(ValueError, match="Name: value"):
            resolve("http://127.0.0.1/", ("a: b\r\nc: d",))

    def test_https_is_encrypted_on_its_own_port(self) -> None:
        target = resolve("https://127.0.0.1/bayeux?x=1")

        assert (target.tls, target.address, target.host, target.path) == (
            True,
            ("127.0.0.1", 443),
            "127.0.0.1",
            "/bayeux?x=1",
        )

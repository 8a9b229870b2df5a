"""The little of HTTP/1.1 that a long-polling load client needs: keep-alive POSTs, bodies with a length or in chunks."""

from dataclasses import dataclass

from clients.load.target import Target


@dataclass(frozen=True, slots=True)
class Response:
    """A whole HTTP response.

    Attributes:
        keep_alive: Whether the connection may carry another request.
        cookies: ``name=value`` of each cookie it sets.
    """

    status: int
    body: bytes
    keep_alive: bool
    cookies: tuple[bytes, ...] = ()


def request_head(target: Target, cookies: bytes = b"") -> bytes:
    """Return the request's head up to the value of Content-Length, which is written last.

    Args:
        cookies: What the server set, ``name=value; name=value``.
    """
    cookie_line = f"Cookie: {cookies.decode('latin-1')}\r\n" if cookies else ""
    return (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.host}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\n{target.headers}{cookie_line}Content-Length: "
    ).encode()


def request(head: bytes, body: bytes) -> bytes:
    """Return a POST of ``body`` with the ``head`` that :func:`request_head` made."""
    return b"%b%d\r\n\r\n%b" % (head, len(body), body)


def take_response(data: bytes) -> tuple[Response, bytes] | None:
    """Return the response at the start of ``data`` and what follows it, or None if it is not all there yet.

    Raises:
        ValueError: If it is not an HTTP/1.x response.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    if not data.startswith(b"HTTP/1."):
        raise ValueError("this is no HTTP/1.x response")
    head, at = data[:end].lower(), end + 4
    status = int(head[9:12])
    keep_alive = b"connection: close" not in head
    length_at = head.find(b"content-length:")
    taken: tuple[bytes, int] | None = (b"", at)
    if length_at >= 0:
        stop = at + int(head[length_at + 15 :].split(b"\r\n", 1)[0])
        taken = (data[at:stop], stop) if len(data) >= stop else None
    elif b"transfer-encoding: chunked" in head:
        taken = _take_chunks(data, at)
    if taken is None:
        return None
    cookies = _cookies(data[:end]) if b"set-cookie:" in head else ()
    return Response(status, taken[0], keep_alive, cookies), data[taken[1] :]


def _cookies(head: bytes) -> tuple[bytes, ...]:
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    return tuple(value.split(b";", 1)[0].strip() for name, _, value in lines if name.lower() == b"set-cookie")


def _take_chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(data[at:line].split(b";", 1)[0], 16)
        begin = line + 2
        if len(data) < begin + size + 2:
            return None
        if size == 0:
            return b"".join(parts), begin + 2
        parts.append(data[begin : begin + size])
        at = begin + size + 2

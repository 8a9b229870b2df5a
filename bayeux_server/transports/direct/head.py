"""What is known of a client's requests once one of them was read."""

import msgspec


class Head(msgspec.Struct, frozen=True):
    """What the head of a request that goes the short road says.

    A client's requests on one connection have heads that are the same byte for byte, but for the length: such a one is
    read, and its way decided, once. That spares a poll a third of its work (``benchmarks/README.md``).

    Attributes:
        text: The head, up to where the body begins.
        size_bytes: Of the request, whole.
        given_id: The request's id, if it brought one.
        is_http2: Whether it came to a proxy by HTTP/2.
    """

    text: bytes
    size_bytes: int
    method: str
    route: str
    is_json: bool
    address: str
    browser: str | None
    given_id: str | None
    is_http2: bool

    def is_of(self, data: bytes) -> bool:
        """Whether ``data`` is a request that differs in nothing but the body."""
        return len(data) == self.size_bytes and data.startswith(self.text)

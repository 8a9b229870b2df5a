"""Where the load goes: a URL taken apart and resolved once, so that no client waits for a name."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

SCHEMES = {"http": (False, 80), "ws": (False, 80), "https": (True, 443), "wss": (True, 443)}
PROBE_S = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """A Bayeux endpoint.

    Attributes:
        host: For the Host header, with the port where it is not the scheme's own.
        server_name: For TLS.
        path: Request target, query included.
        family: Address family of ``address``.
        address: What to connect to.
        tls: Whether the connection is encrypted.
        headers: Extra header lines, each ended by CR LF.
    """

    host: str
    server_name: str
    path: str
    family: int
    address: tuple[str, int]
    tls: bool
    headers: str = ""


def resolve(url: str, headers: tuple[str, ...] = ()) -> Target:
    """Return the target that ``url`` names.

    Args:
        url: ``http``, ``https``, ``ws`` or ``wss``; the transport is chosen elsewhere.
        headers: Extra request headers, each ``Name: value``.

    Raises:
        ValueError: If the URL or a header has the wrong form, or the name does not resolve.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError(f"{url}: expected http://, https://, ws:// or wss:// and a host")
    tls, default_port = SCHEMES[parts.scheme]
    port = parts.port or default_port
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(f"{parts.hostname}: {error.strerror}") from error
    family, address = _reachable([(family, str(address[0])) for family, _, _, _, address in found], port)
    for header in headers:
        if ":" not in header or "\r" in header or "\n" in header:
            raise ValueError("a header is written as 'Name: value'")
    return Target(
        host=parts.hostname if port == default_port else f"{parts.hostname}:{port}",
        server_name=parts.hostname,
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        family=family,
        address=(address, port),
        tls=tls,
        headers="".join(f"{header.strip()}\r\n" for header in headers),
    )


def _reachable(addresses: Sequence[tuple[int, str]], port: int) -> tuple[int, str]:
    """Return the first of ``addresses`` that accepts a connection: a localhost is often ::1 and served on 127.0.0.1."""
    for family, address in addresses if len(addresses) > 1 else ():
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(PROBE_S)
            if probe.connect_ex((address, port)) == 0:
                return family, address
    return addresses[0]

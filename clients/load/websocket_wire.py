"""The little of RFC 6455 that a load client needs."""

from clients.load.target import Target

# Any 16 bytes will do: the key only proves that the server speaks WebSocket, and the status line says that too.
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
# A mask of zeros leaves the payload as it is. It protects proxies from pages that choose their bytes; we choose ours.
_NO_MASK = b"\0\0\0\0"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL = 0x80

Frame = tuple[int, bytes]
"""First byte of the frame (FINAL bit and opcode), and its payload."""


def upgrade_request(target: Target) -> bytes:
    """Return the HTTP request that opens a WebSocket at ``target``, with no sub-protocol and no extension."""
    return (
        f"GET {target.path} HTTP/1.1\r\nHost: {target.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n{target.headers}\r\n"
    ).encode()


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return ``payload`` in one masked frame, as a client must send it."""
    size = len(payload)
    if size < 126:
        return bytes((FINAL | opcode, 0x80 | size)) + _NO_MASK + payload
    if size < 65_536:
        return bytes((FINAL | opcode, 0xFE)) + size.to_bytes(2, "big") + _NO_MASK + payload
    return bytes((FINAL | opcode, 0xFF)) + size.to_bytes(8, "big") + _NO_MASK + payload


def split_frames(data: bytes) -> tuple[list[Frame], int]:
    """Return the whole frames at the start of ``data`` and where the first incomplete one begins.

    Raises:
        ValueError: If a frame uses an extension that was never negotiated, or is masked: servers must not.
    """
    frames: list[Frame] = []
    at, end = 0, len(data)
    while end - at >= 2:
        first, size = data[at], data[at + 1]
        body = at + 2
        if size == 126:
            body, size = at + 4, int.from_bytes(data[at + 2 : at + 4], "big")
        elif size == 127:
            body, size = at + 10, int.from_bytes(data[at + 2 : at + 10], "big")
        elif size > 127:
            raise ValueError("a server must not mask its frames")
        if first & 0x70:
            raise ValueError("a reserved bit is set")
        if body + size > end or body > end:
            break
        frames.append((first, data[body : body + size]))
        at = body + size
    return frames, at


def whole_texts(data: bytes) -> int:
    """Return where the whole text frames at the start of ``data`` end, or -1 if any frame is something else.

    The quick look before :func:`split_frames`: it copies nothing.
    """
    at, end = 0, len(data)
    while end - at >= 2:
        if data[at] != FINAL | TEXT:
            return -1
        size = data[at + 1]
        if size == 126:
            size = 4 + (data[at + 2] << 8 | data[at + 3]) if end - at >= 4 else end + 1
        elif size > 126:
            return -1
        else:
            size += 2
        if at + size > end:
            break
        at += size
    return at

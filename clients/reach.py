"""Whether there is anything at a URL at all, asked once before each way to it is tried."""

import asyncio

from yarl import URL

from clients.python import TransportError


async def reach(url: str, timeout_s: float) -> None:
    """Open a bare connection to the server of a URL, and close it again.

    Raises:
        TransportError: If nobody accepts one, with what to do about it.
    """
    server = URL(url)
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(server.host, server.port)
    except OSError as error:
        reason = error.strerror or str(error) or f"no answer in {timeout_s:g} s"
        raise TransportError(
            f"no connection to {server.host}:{server.port}: {reason}. Is the server running, and is the URL right?"
        ) from error
    writer.close()

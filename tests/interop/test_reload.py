"""A page that is loaded anew goes on with its session: CometD's reload extension, and the cookie the session needs."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.interop.stock_client import PATIENCE_S, page_client
from tests.support.server import LocalServer, local_server

if TYPE_CHECKING:
    from playwright.async_api import Page

CHANNEL = "/page/reload"


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with local_server() as running:
        yield running


@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
async def test_reloaded_page_goes_on_with_its_session(transport: str, server: LocalServer, page: "Page") -> None:
    options = {"reload": True, "channels": [CHANNEL]}
    client = await page_client(page, server.base, "cometd", transport, server.url, **options)
    await client.command("connect")
    # The extension learns the transport from the first connect, which a timer sends: before it nothing can be saved.
    await client.until("subscribed", "connected")
    [session] = server.app.server.core.sessions
    await client.command("leave")
    await client.until("left")
    async with asyncio.timeout(PATIENCE_S):
        # Until the server has heard of it, an event would go to the page that left.
        while session.has_connection:  # noqa: ASYNC110 - the browser's end of it sets no event of ours
            await asyncio.sleep(0.001)
    await server.app.server.publish(CHANNEL, "while it was away")
    await client.load()
    await client.command("connect")
    await client.until("subscribed")
    await server.app.server.publish(CHANNEL, "after it came back")
    assert await client.until_events(2) == [(CHANNEL, "while it was away"), (CHANNEL, "after it came back")]
    assert [*server.app.server.core.sessions] == [session]
    assert session.browser is not None  # nobody without the page's cookie could have done that

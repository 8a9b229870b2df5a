"""The demo page, as a person uses it."""

from typing import TYPE_CHECKING

import pytest

from tests.support.server import local_server

if TYPE_CHECKING:
    from playwright.async_api import Page

DEMO = {"server": {"demo": True}}


async def subscribed(page: "Page", base: str, library: str, transport: str) -> None:
    await page.goto(base + "/")
    await page.select_option("#library", library)
    await page.select_option("#transport", transport)
    await page.click("#connect")
    await page.wait_for_selector('[data-state="connected"]')
    await page.click("#subscription button")
    await page.wait_for_selector('#wire li:has-text("/meta/subscribe"):has-text("\\"successful\\": true")')


class TestDemoPage:
    @pytest.mark.parametrize(
        ("library", "transport"),
        [
            ("faye", "websocket"),
            ("faye", "eventsource"),
            ("faye", "long-polling"),
            ("faye", "callback-polling"),
            ("cometd", "websocket"),
            ("cometd", "long-polling"),
            ("cometd", "callback-polling"),
        ],
    )
    async def test_what_is_published_is_shown_until_it_is_cleared(
        self, page: "Page", library: str, transport: str
    ) -> None:
        async with local_server(DEMO) as server:
            await subscribed(page, server.base, library, transport)
            await page.click("#publication button")
            await page.wait_for_selector('#events li:has-text("{ \\"text\\": \\"Hello\\" }")')
            assert await page.inner_text("#event-count") == "1"
            assert {session.transport for session in server.app.server.core.sessions} == {transport}
            await page.click('[data-clears="events"]')
            assert await page.inner_text("#event-count") == "0"
            await page.click("#connect")
            await page.wait_for_selector('[data-state="disconnected"]')

    async def test_what_is_refused_is_said(self, page: "Page") -> None:
        async with local_server(DEMO) as server:
            await subscribed(page, server.base, "cometd", "websocket")
            await page.fill("#channel", "/demo/*")
            await page.click("#publication button")
            await page.wait_for_selector('#problem:has-text("405:/demo/*:channel_invalid")')
            await page.fill("#data", "{")
            await page.click("#publication button")
            await page.wait_for_selector('#problem:has-text("Data is not JSON")')

    async def test_one_can_be_somebody_of_the_demo(self, page: "Page", monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CARE_DEMO_SECRET", "s" * 48)
        issuer = {
            "issuer": "care-demo",
            "audiences": ["care-app"],
            "algorithms": ["HS256"],
            "keys": [{"secret_env": "CARE_DEMO_SECRET"}],
        }
        extensions = {"demo_login": {}, "authentication": {"issuers": [issuer]}}
        async with local_server({**DEMO, "extensions": extensions}) as server:
            await page.goto(server.base + "/")
            await page.wait_for_selector("#people:not([hidden])")
            await page.select_option("#person", "cc_001")
            await page.wait_for_function("document.getElementById('token').value")
            await page.click("#connect")
            await page.wait_for_selector('[data-state="connected"]')
            assert {session.user_id for session in server.app.server.core.sessions} == {"cc_001"}

    async def test_without_the_libraries_it_says_what_to_install(self, page: "Page") -> None:
        async with local_server(DEMO) as server:
            await page.route("**/vendor/**", lambda route: route.fulfill(status=404))
            await page.goto(server.base + "/")
            await page.wait_for_selector('#state:has-text("not installed: npm ci in clients/web")')
            assert await page.is_disabled("#connect")

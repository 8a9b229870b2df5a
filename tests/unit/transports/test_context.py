import pytest
from aiohttp.test_utils import make_mocked_request

from bayeux_server.app import BayeuxApp
from bayeux_server.transports.context import TransportContext
from tests.support.server import make_settings


def _context(*proxies: str) -> TransportContext:
    return BayeuxApp(make_settings({"server": {"trusted_proxies": list(proxies)}})).context


def _address(context: TransportContext, remote: str, forwarded: str | None) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=remote)
    return context.address(request)


class TestAddress:
    def test_is_the_peer_s(self) -> None:
        assert _address(_context(), "10.0.0.9", None) == "10.0.0.9"

    def test_is_not_what_somebody_unknown_says(self) -> None:
        assert _address(_context(), "10.0.0.9", "1.2.3.4") == "10.0.0.9"

    @pytest.mark.parametrize(
        ("forwarded", "address"),
        [
            ("1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
            ("1.2.3.4, 10.0.0.2", "1.2.3.4"),
            ("10.0.0.2", "10.0.0.2"),
            ("junk, 10.0.0.2", "10.0.0.2"),
            ("", "10.0.0.1"),
        ],
    )
    def test_is_the_last_that_no_trusted_proxy_added(self, forwarded: str, address: str) -> None:
        assert _address(_context("10.0.0.1", "10.0.0.2"), "10.0.0.1", forwarded) == address


class TestCredentials:
    @pytest.mark.parametrize(
        ("header", "token"),
        [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("Bearer", None), ("Bearer ", None)],
    )
    async def test_token_is_a_bearer_s(self, header: str, token: str | None) -> None:
        request = make_mocked_request("POST", "/", headers={"Authorization": header})
        assert (await _context().origin(request, "long-polling")).token == token

    async def test_cookie_is_offered_only_where_none_was_shown(self) -> None:
        context = _context()
        shown = await context.origin(make_mocked_request("GET", "/", headers={"Cookie": "BAYEUX_BROWSER=x"}), "")
        assert (shown.browser, shown.offered_browser) == ("x", None)
        fresh = await context.origin(make_mocked_request("GET", "/"), "")
        assert fresh.browser is None
        assert fresh.offered_browser

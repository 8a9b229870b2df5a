import pytest
from aiohttp.test_utils import make_mocked_request

from bayeux_server.transports.origins import OriginPolicy

HOST = "server.example:8000"


def _allows(allowed: list[str], **headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return OriginPolicy(allowed).allows(make_mocked_request("GET", "/bayeux", headers={"Host": HOST} | named))


class TestOriginPolicy:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Origin": f"https://{HOST}"},
            {"Origin": "https://APP.example"},
            {"Referer": "https://app.example/page?x=1"},
            {"Sec_Fetch_Site": "same-origin"},
            {"Sec_Fetch_Site": "none"},
        ],
    )
    def test_allows_its_own_the_listed_and_what_is_no_browser(self, headers: dict[str, str]) -> None:
        assert _allows(["https://app.example/"], **headers)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://foreign.example"},
            {"Origin": "http://app.example"},
            {"Origin": "https://app.example.foreign.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "https://foreign.example", "Referer": "https://app.example/"},
            {"Referer": "https://foreign.example/https://app.example"},
            {"Sec_Fetch_Site": "cross-site"},
        ],
    )
    def test_refuses_the_rest(self, headers: dict[str, str]) -> None:
        assert not _allows(["https://app.example"], **headers)

    def test_any_means_any_page_but_a_sandboxed_one(self) -> None:
        assert _allows(["*"], Origin="https://foreign.example")
        assert _allows(["*"], Sec_Fetch_Site="cross-site")
        assert not _allows(["*"], Origin="null")
        assert _allows(["*", "null"], Origin="null")

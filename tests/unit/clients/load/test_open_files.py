import resource

import pytest

from clients.load.errors import HarnessError
from clients.load.open_files import SPARE_FILES, allow_open_files


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits that are set; the process has 100 of 1,000."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (100, 1_000))
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limit: found.append(limit))
    return found


class TestOpenFiles:
    def test_what_suffices_is_left_as_it_is(self, limits: list[tuple[int, int]]) -> None:
        allow_open_files(20, processes=1)

        assert limits == []

    def test_the_limit_is_raised_to_the_share_of_a_process(self, limits: list[tuple[int, int]]) -> None:
        allow_open_files(801, processes=2)

        assert limits == [(401 + SPARE_FILES, 1_000)]

    def test_more_than_the_system_allows_is_refused_with_what_to_do(self, limits: list[tuple[int, int]]) -> None:
        with pytest.raises(HarnessError, match="ulimit -n"):
            allow_open_files(2_000, processes=2)
        assert limits == []

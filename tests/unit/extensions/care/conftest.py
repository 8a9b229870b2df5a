from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.care_world import CareWorld, care_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CareWorld]:
    """A running server with the whole care layer on SQLite."""
    async with care_world(tmp_path) as running:
        yield running

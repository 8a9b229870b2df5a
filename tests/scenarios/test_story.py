"""The customer's story from end to end, with the Python client and with the stock ones."""

from functools import partial
from pathlib import Path

import pytest

from extensions.care.play import play_in
from extensions.care.story import SILENT_WITHIN_S, Line
from tests.support.story_page import stock_client


class TestStory:
    async def test_is_played_with_the_python_client(self, tmp_path: Path) -> None:
        told: list[Line] = []

        async def tell(line: Line) -> None:
            told.append(line)

        outcome, audit = await play_in(tmp_path, tell)
        assert [line.text for line in told if line.is_scene] == [
            "Two coordinators open the same task",
            "One edits, the other is warned",
            "Both save",
            "The feed and a notification follow",
            "Rita leaves the team",
            "The audit shows it all",
        ]
        assert outcome.conflict["merged_task"]["notes"] == "Called: prefers Tuesday morning."
        assert outcome.conflict["their_changed_fields"] == ["notes"]
        assert set(outcome.redacted["task"]).isdisjoint({"title", "notes", "member_id", "member_name"})
        assert outcome.silent_after_s < SILENT_WITHIN_S
        assert audit.shown_to == {"cc_001", "cc_004"}
        assert "rsa_001" in audit.revoked

    @pytest.mark.usefixtures("node_js")
    @pytest.mark.parametrize("library", ["faye", "cometd"])
    async def test_is_played_with_stock_clients(self, tmp_path: Path, library: str) -> None:
        async def tell(_: Line) -> None:
            return

        outcome, audit = await play_in(tmp_path, tell, connect=partial(stock_client, library))
        assert outcome.silent_after_s < SILENT_WITHIN_S
        assert audit.shown_to == {"cc_001", "cc_004"}

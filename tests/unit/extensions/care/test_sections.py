"""What the configuration of the care layer must have around it."""

from pathlib import Path

import pytest

from bayeux_server.app import BayeuxApp
from bayeux_server.settings import SettingsError
from tests.support.care_world import care_sections
from tests.support.server import make_settings


class TestSections:
    def test_in_their_order_are_taken(self, tmp_path: Path) -> None:
        BayeuxApp(make_settings(care_sections(tmp_path)))

    def test_without_presence_are_refused(self, tmp_path: Path) -> None:
        sections = care_sections(tmp_path)
        del sections["extensions"]["presence"]
        with pytest.raises(SettingsError, match=r"extensions\.care: needs \[extensions\.presence\] before it"):
            BayeuxApp(make_settings(sections))

    @pytest.mark.parametrize("careflow", [None, {"enabled": False}])
    def test_without_careflow_are_refused(self, tmp_path: Path, careflow: dict[str, object] | None) -> None:
        sections = care_sections(tmp_path)
        if careflow is None:
            del sections["extensions"]["careflow"]
        else:
            sections["extensions"]["careflow"] = careflow
        with pytest.raises(SettingsError, match=r"extensions\.care: needs \[extensions\.careflow\] behind it"):
            BayeuxApp(make_settings(sections))

    def test_with_careflow_before_care_are_refused(self, tmp_path: Path) -> None:
        """It would begin to read records before anything gives them their effect."""
        sections = care_sections(tmp_path)
        sections["extensions"] = {"careflow": {}, **sections["extensions"]}
        with pytest.raises(SettingsError, match=r"extensions\.care: needs \[extensions\.careflow\] behind it"):
            BayeuxApp(make_settings(sections))

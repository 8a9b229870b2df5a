"""The extensions' sections of conf/default.toml say what the code does without them."""

import tomllib

import msgspec
import pytest

from bayeux_server.settings import default_path
from extensions.acknowledge import AcknowledgeSection
from extensions.activity import ActivitySection
from extensions.audit import AuditConfig
from extensions.authorization import AuthorizationConfig
from extensions.careflow.config import CareflowConfig
from extensions.presence import PresenceConfig
from extensions.replay.extension import ReplaySection

SECTIONS = tomllib.loads(default_path().read_text())["extensions"]


class TestDocumentedExtensions:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("acknowledge", AcknowledgeSection),
            ("activity", ActivitySection),
            ("audit", AuditConfig),
            ("authorization", AuthorizationConfig),
            ("careflow", CareflowConfig),
            ("presence", PresenceConfig),
            ("replay", ReplaySection),
        ],
    )
    def test_every_key_stands_there_with_the_value_it_has_without(self, name: str, kind: type) -> None:
        documented = {key: value for key, value in SECTIONS[name].items() if key not in ("enabled", "security")}
        coded = {key: value for key, value in msgspec.to_builtins(kind()).items() if key != "security"}
        assert documented == {key: list(value) if isinstance(value, tuple) else value for key, value in coded.items()}

"""The extensions' sections of conf/default.toml say what the code does without them."""

import re
import tomllib

import msgspec
import pytest

from bayeux_server.settings import default_path
from extensions.acknowledge import AcknowledgeSection
from extensions.activity import ActivitySection
from extensions.audit import AuditConfig
from extensions.authentication import AuthenticationConfig
from extensions.authentication.issuers import ConfiguredKey, Issuer
from extensions.authorization import AuthorizationConfig
from extensions.care import CareConfig
from extensions.careflow.config import CareflowConfig, Security
from extensions.demo_login import DemoLoginConfig
from extensions.features import FeaturesConfig
from extensions.presence import PresenceConfig
from extensions.rate_limit import RateLimitSection
from extensions.replay.extension import ReplaySection

SECTIONS = tomllib.loads(default_path().read_text())["extensions"]


def _text_of(name: str) -> str:
    """Return what the file says of an extension, comments included."""
    section = re.compile(
        rf"^\[+extensions\.{name}[\].].*?(?=^\[+extensions\.(?!{name}[\].])|\Z)", re.MULTILINE | re.DOTALL
    )
    return "".join(section.findall(default_path().read_text(encoding="utf-8")))


class TestDocumentedExtensions:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("authentication", AuthenticationConfig),
            ("authentication", ConfiguredKey),
            ("authentication", Issuer),
            ("care", CareConfig),
            ("careflow", Security),
            ("demo_login", DemoLoginConfig),
            ("features", FeaturesConfig),
            ("rate_limit", RateLimitSection),
        ],
    )
    def test_every_key_is_named_where_it_belongs(self, name: str, kind: type[msgspec.Struct]) -> None:
        text = _text_of(name)
        assert [key for key in kind.__struct_fields__ if not re.search(rf"\b{key}\b", text)] == []

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

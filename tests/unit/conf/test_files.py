"""The configuration files that ship: they can be used as they are, and grant what they say and no more."""

import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from bayeux_server.app import BayeuxApp
from bayeux_server.cli import main
from bayeux_server.protocol.messages import Handshake, Publish
from bayeux_server.server.authorizer import SecurityPolicy
from bayeux_server.server.identity import Identity
from bayeux_server.server.session import ServerSession
from bayeux_server.settings import load

CONF = Path(__file__).parents[3] / "conf"


@pytest.fixture(scope="module")
def production() -> BayeuxApp:
    """What the rules alone grant: no extension decides besides."""
    return BayeuxApp(msgspec.structs.replace(load(CONF / "production.toml", environment={}), extensions={}))


class TestEveryFile:
    @pytest.mark.parametrize("name", ["default", "development", "production"])
    def test_it_passes_the_check(self, name: str) -> None:
        result = CliRunner().invoke(main, ["config", "check", "--config", str(CONF / f"{name}.toml")])
        assert (result.output, result.exit_code) == ("The configuration is fine.\n", 0)


class TestNginx:
    def test_its_patience_is_above_every_silence_of_ours(self) -> None:
        patience_s = int(re.findall(r"proxy_read_timeout (\d+)s;", (CONF / "nginx.conf").read_text())[0])
        connect = load(CONF / "production.toml", environment={}).connect
        assert patience_s * 1_000 > 2 * max(connect.hold_timeout_ms, connect.ping_interval_ms)


class TestDevelopment:
    def test_it_opens_no_door_beyond_this_machine(self) -> None:
        result = CliRunner().invoke(
            main, ["config", "check", "--config", str(CONF / "development.toml"), "--set", "server.host=0.0.0.0"]
        )
        assert result.exit_code == 1
        assert "server.host = '0.0.0.0'" in result.output


class TestProduction:
    def test_nobody_gets_in_without_a_token(self, production: BayeuxApp) -> None:
        assert _allows(production, None, "handshake") is False

    def test_it_may_listen_to_the_world(self) -> None:
        BayeuxApp(load(CONF / "production.toml", environment={}, overrides=["server.host=0.0.0.0"]))

    @pytest.mark.parametrize(
        ("user", "role", "operation", "channel", "allowed"),
        [
            ("cc_456", "rsa", "subscribe", "/notifications/cc_456", True),
            ("cc_456", "care_coordinator", "subscribe", "/notifications/cc_457", False),
            ("cc_456", "care_coordinator", "subscribe", "/notifications/*", False),
            ("cc_456", "care_coordinator", "publish", "/notifications/cc_456", False),
            ("cc_456", "rsa", "subscribe", "/task_list/assigned_to/cc_456", True),
            ("cc_456", "rsa", "subscribe", "/task_list/team/t1", True),
            ("cc_456", "clinician", "subscribe", "/task_list/team/t1", True),
            ("cc_456", "care_coordinator", "subscribe", "/task/task_789", True),
            ("cc_456", "clinician", "subscribe", "/task/task_789/presence", True),
            ("cc_456", "rsa", "subscribe", "/task/task_789", True),
            ("cc_456", "rsa", "publish", "/service/task/update", False),
            ("cc_456", "care_coordinator", "publish", "/task/task_789", False),
            ("cc_456", "care_coordinator", "subscribe", "/activity_feed/t1", True),
            ("cc_456", "care_coordinator", "subscribe", "/**", False),
            ("cc_456", "care_coordinator", "subscribe", "/elsewhere", False),
            ("cc_456", "clinician", "publish", "/service/presence", True),
            ("cc_456", "clinician", "publish", "/service/task/get", True),
            ("cc_456", "clinician", "publish", "/service/member/note", True),
            ("cc_456", "rsa", "publish", "/service/member/get", False),
            ("cc_456", "clinician", "publish", "/service/service_request/create", True),
            ("cc_456", "care_coordinator", "publish", "/service/activity/list", True),
            ("cc_456", "rsa", "publish", "/service/notification/read", True),
            ("cc_456", "rsa", "publish", "/service/auth/refresh", True),
            ("service:tasks", "system", "publish", "/task/task_789", True),
            ("service:tasks", "system", "subscribe", "/task/task_789", False),
            ("service:tasks", "system", "publish", "/notifications/cc_456", False),
        ],
    )
    def test_its_rules(
        self, production: BayeuxApp, user: str, role: str, operation: str, channel: str, allowed: bool
    ) -> None:
        assert _allows(production, Identity(user, frozenset({role})), operation, channel) is allowed


def _allows(app: BayeuxApp, identity: Identity | None, operation: str, name: str = "/") -> object:
    policy: SecurityPolicy = app.server.core.policy
    session: ServerSession = app.server.lifecycle.new_session(address="192.0.2.1", transport="websocket")
    session.identity = identity
    if operation == "handshake":
        (handshake,) = app.server.reader.read(_HANDSHAKE)
        assert isinstance(handshake, Handshake)
        return policy.can_handshake(session, handshake)
    if operation == "subscribe":
        channel = app.server.core.grammar.parse(name)
        return policy.can_create(session, channel) is True and policy.can_subscribe(session, channel)
    (publish,) = app.server.reader.read(f'{{"channel":"{name}","data":1}}'.encode())
    assert isinstance(publish, Publish)
    return policy.can_publish(session, publish)


_HANDSHAKE = b'{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"]}'

"""The configuration: one file documents every key, and a mistake is told by its name."""

import tomllib

import msgspec
import pytest

from bayeux_server.app import BayeuxApp
from bayeux_server.settings import Settings, SettingsError, default_path, load

SECTIONS = ("server", "security", "connect", "limits", "backend", "log")


def without_environment(*overrides: str) -> Settings:
    return load(environment={}, overrides=overrides)


class TestDefaults:
    @pytest.mark.parametrize("section", SECTIONS)
    def test_the_file_names_every_key_with_the_value_the_code_has(self, section: str) -> None:
        documented = tomllib.loads(default_path().read_text())[section]
        coded = msgspec.to_builtins(getattr(Settings(), section))
        assert documented == {key: list(value) if isinstance(value, tuple) else value for key, value in coded.items()}


class TestOrder:
    def test_the_environment_is_over_the_file_and_a_flag_over_both(self) -> None:
        environment = {"BAYEUX_SERVER__PORT": "9001", "BAYEUX_LOG__LEVEL": "warning"}
        settings = load(environment=environment, overrides=["server.port=9002"])
        assert (settings.server.port, settings.log.level) == (9002, "warning")

    def test_a_text_needs_no_quotes(self) -> None:
        assert without_environment("server.host=0.0.0.0").server.host == "0.0.0.0"

    def test_a_list_is_written_as_toml(self) -> None:
        settings = without_environment('server.allowed_origins=["https://a.example"]')
        assert settings.server.allowed_origins == ("https://a.example",)


class TestMistakes:
    @pytest.mark.parametrize(
        ("override", "told"),
        [
            ("server.prot=1", "unknown key server.prot"),
            ("sever.port=1", "unknown key sever"),
            ("server.port=70000", "server.port = 70000: expected `int` <= 65535"),
            ("connect.hold_timeout_ms=soon", "connect.hold_timeout_ms = 'soon': expected `int`, got `str`"),
            (
                "security.session_binding=loose",
                "security.session_binding = 'loose': expected one of 'adaptive', 'strict', 'off'",
            ),
            ('rules=[{channel="/a",allow=["publsh"]}]', "rules[0].allow[0] = 'publsh': expected one of 'create', "),
            (
                'rules=[{channel="/a/**/b",allow=["publish"]}]',
                "rules[0].channel = '/a/**/b': expected a channel such as '/noti",
            ),
            ('rules=[{channel="a",allow=["publish"]}]', "rules[0].channel = 'a': expected a channel such as '/notific"),
            (
                'server.allowed_origins=["a.example"]',
                "server.allowed_origins[0] = 'a.example': expected an origin as browsers send it, such as 'https://app.exa",
            ),
            ("limits.max_queue_messages=0", "limits.max_queue_messages = 0: expected `int` >= 1"),
            ("server.mount=bayeux", "server.mount = 'bayeux': expected a path such as '/bayeux'"),
        ],
    )
    def test_the_error_names_the_key_the_value_and_what_is_allowed(self, override: str, told: str) -> None:
        with pytest.raises(SettingsError) as error:
            without_environment(override)
        assert str(error.value).startswith(told)

    @pytest.mark.parametrize(
        ("overrides", "told"),
        [
            (['server.trusted_proxies=["proxy"]'], "server.trusted_proxies[0] = 'proxy': expected the address"),
            (['connect.lazy_channels=["a"]'], "connect.lazy_channels[0] = 'a': no channel or pattern"),
            (['connect.persistent_channels=["/a","/*/b"]'], "connect.persistent_channels[1] = '/*/b': no channel"),
            (["connect.hold_timeout_ms=100000"], "limits.idle_socket_timeout_ms = 120000: expected at least 130000,"),
            (
                ['extensions.replay.channels=["/a/**/b"]'],
                "extensions.replay.channels[0] = '/a/**/b': no channel or pattern",
            ),
            (["backend.broker=redis", "backend.redis_url=s3cr3t"], "backend.redis_url: expected it to begin with"),
        ],
    )
    def test_what_no_type_can_say_is_refused_as_well(self, overrides: list[str], told: str) -> None:
        with pytest.raises(SettingsError) as error:
            BayeuxApp(without_environment("extensions={}", *overrides))
        assert str(error.value).startswith(told)
        assert "s3cr3t" not in str(error.value)

    def test_a_secret_is_not_shown(self) -> None:
        with pytest.raises(SettingsError) as error:
            without_environment("backend.redis_url=12345")
        assert str(error.value) == "backend.redis_url = (not shown): expected `str`, got `int`"

    @pytest.mark.parametrize("origin", ["*", "null", "https://a.example:8443", "capacitor://localhost"])
    def test_origins_are_taken_as_browsers_send_them(self, origin: str) -> None:
        assert without_environment(f'server.allowed_origins=["{origin}"]').server.allowed_origins == (origin,)

    def test_a_flag_without_a_value_is_refused(self) -> None:
        with pytest.raises(SettingsError, match=r"section\.key=value"):
            without_environment("server.port")

    def test_an_extension_that_is_not_installed_is_named(self) -> None:
        with pytest.raises(SettingsError, match=r"extensions\.nonsense"):
            BayeuxApp(without_environment("extensions.nonsense.enabled=true"))


class TestOpenDoors:
    def test_development_settings_are_refused_beyond_loopback(self) -> None:
        with pytest.raises(SettingsError, match=r"server\.host = '0\.0\.0\.0'"):
            BayeuxApp(without_environment("server.host=0.0.0.0"))

    def test_unless_told_so_in_words(self) -> None:
        BayeuxApp(without_environment("server.host=0.0.0.0", "security.allow_development_beyond_loopback=true"))

"""The configuration: what may be set, how it is read, and how a mistake in it is told.

A file (TOML), then environment variables (``BAYEUX_SECTION__KEY``), then flags (``--set section.key=value``), each over
the one before. ``conf/default.toml`` documents every key; a test holds the two together.
"""

import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from bayeux_server.errors import LocalError

Count = Annotated[int, Meta(ge=1)]
Milliseconds = Annotated[int, Meta(ge=0, le=86_400_000)]
Bytes = Annotated[int, Meta(ge=0)]
Port = Annotated[int, Meta(ge=0, le=65_535)]

#: As browsers send it: scheme, host and port. Applications on phones have schemes of their own.
AllowedOrigin = Annotated[
    str,
    Meta(
        pattern=r"^(\*|null|[A-Za-z][A-Za-z0-9+.-]*://[^/\s]+/?)$",
        description="an origin as browsers send it, such as 'https://app.example.org', or '*' for any",
    ),
]
#: ``**`` stands at the end, for it takes all that follows: within, it would grant more than one reads.
RuleChannel = Annotated[
    str,
    Meta(
        pattern=r"^(?=/.)(/(\{\w+\}|\*|[^/*{}]+))*(/\*\*)?$",
        description="a channel such as '/notifications/{user_id}', '/chat/*' or '/task/**', with '**' at its end only",
    ),
]
Mount = Annotated[
    str, Meta(pattern=r"^(/[A-Za-z0-9_.-]+)+$", description="a path such as '/bayeux', of letters, digits and _ . -")
]

ENVIRONMENT_PREFIX: Final = "BAYEUX_"

_SECRET_WORDS: Final = ("secret", "password", "token", "keys", "url", "dsn")


class SettingsError(LocalError):
    """The configuration cannot be used. The message names key, value and what is allowed."""


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class ServerSettings(_Section, frozen=True, forbid_unknown_fields=True):
    """``[server]``: where the server listens, and how it stops."""

    host: str = "127.0.0.1"
    port: Port = 8_000
    mount: Mount = "/bayeux"
    allowed_origins: tuple[AllowedOrigin, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    drain_wait_ms: Milliseconds = 0
    drain_ms: Milliseconds = 5_000
    demo: bool = True
    short_road: bool = True
    event_loop: Literal["asyncio", "uvloop"] = "uvloop"
    compiled: bool = True
    min_turn_ms: Annotated[float, Meta(ge=0, le=20)] = 1.0


class SecuritySettings(_Section, frozen=True, forbid_unknown_fields=True):
    """``[security]``: who gets in."""

    mode: Literal["development", "rules"] = "development"
    allow_development_beyond_loopback: bool = False
    publish_without_session: bool = False
    session_binding: Literal["adaptive", "strict", "off"] = "adaptive"
    cross_site_cookie: bool = False


class Rule(_Section, frozen=True, forbid_unknown_fields=True):
    """``[[rules]]``: who may do what on the channels that match. Denied unless granted."""

    channel: RuleChannel
    allow: tuple[Literal["create", "subscribe", "publish"], ...]
    roles: tuple[str, ...] = ("*",)


class ConnectSettings(_Section, frozen=True, forbid_unknown_fields=True):
    """``[connect]``: the times of connecting."""

    hold_timeout_ms: Milliseconds = 25_000
    interval_ms: Milliseconds = 0
    max_interval_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 45_000
    lazy_timeout_ms: Milliseconds = 5_000
    sweep_interval_ms: Annotated[int, Meta(ge=100, le=86_400_000)] = 10_000
    max_held_per_browser: Annotated[int, Meta(ge=-1)] = 1
    multiple_clients_interval_ms: Milliseconds = 2_000
    ping_interval_ms: Annotated[int, Meta(ge=1_000, le=600_000)] = 25_000
    lazy_channels: tuple[str, ...] = ()
    persistent_channels: tuple[str, ...] = ()


class LimitSettings(_Section, frozen=True, forbid_unknown_fields=True):
    """``[limits]``: what one peer may ask for, and what all together may."""

    max_body_bytes: Annotated[int, Meta(ge=1_024)] = 1_048_576
    max_request_line_bytes: Annotated[int, Meta(ge=8_190)] = 16_384
    max_messages_per_batch: Count = 1_000
    max_json_depth: Count = 64
    max_channel_characters: Annotated[int, Meta(ge=16, le=4_096)] = 255
    max_channel_segments: Annotated[int, Meta(ge=2, le=256)] = 32
    wide_channel_grammar: bool = True
    max_channels: Count = 1_000_000
    max_subscriptions_per_session: Count = 5_000
    max_sessions: Count = 1_000_000
    max_sessions_per_user: Count = 100
    max_sessions_per_address: Count = 10_000
    max_queue_messages: Count = 10_000
    max_queue_bytes: Annotated[int, Meta(ge=1_024)] = 8_388_608
    on_queue_overflow: Literal["disconnect", "drop_oldest"] = "disconnect"
    max_held_connects: Count = 1_000_000
    max_sockets: Count = 100_000
    max_sockets_per_address: Count = 10_000
    max_calls_per_session: Count = 64
    idle_socket_timeout_ms: Annotated[int, Meta(ge=30_000)] = 120_000
    write_timeout_ms: Annotated[int, Meta(ge=100)] = 30_000
    send_buffer_bytes: Bytes = 131_072


class BackendSettings(_Section, frozen=True, forbid_unknown_fields=True):
    """``[backend]``: what carries and keeps publications."""

    broker: Literal["memory", "redis"] = "memory"
    history: Literal["memory", "redis"] = "memory"
    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_prefix: str = "bayeux:"
    history_max_messages: Count = 1_000
    history_max_bytes: Count = 268_435_456


class LogSettings(_Section, frozen=True, forbid_unknown_fields=True):
    """``[log]``."""

    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
    requests: bool = False


class Settings(_Section, frozen=True, forbid_unknown_fields=True):
    """The whole configuration. ``extensions`` holds a table for each extension that is on."""

    server: ServerSettings = ServerSettings()
    security: SecuritySettings = SecuritySettings()
    connect: ConnectSettings = ConnectSettings()
    limits: LimitSettings = LimitSettings()
    backend: BackendSettings = BackendSettings()
    log: LogSettings = LogSettings()
    rules: tuple[Rule, ...] = ()
    extensions: dict[str, dict[str, Any]] = {}


def load(
    path: Path | None = None, *, environment: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
) -> Settings:
    """Return the settings of a file, the environment and flags together.

    Args:
        path: A TOML file; None for the defaults that ship with the package.
        environment: Taken from the process if None.
        overrides: ``section.key=value``, the value in TOML or plain text.

    Raises:
        SettingsError: If a key is unknown or a value not allowed.
    """
    table = _read(path or default_path())
    for name, value in (os.environ if environment is None else environment).items():
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            _set(table, name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), value)
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise SettingsError(f"--set {override}: write it as section.key=value")
        _set(table, key.strip().split("."), value)
    return convert(table, Settings, "")


T = TypeVar("T")


def convert(table: Any, kind: type[T], prefix: str = "") -> T:
    """Return a table as a struct; extensions read their own section with this.

    Args:
        prefix: Where the table stands, such as ``extensions.replay``, for the error.

    Raises:
        SettingsError: Naming key, value and what is allowed.
    """
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error), table, kind, prefix)) from None


def is_secret(key: str) -> bool:
    """Whether a key, by its name, may hold what nobody should read over a shoulder or in a log."""
    return any(word in key for word in _SECRET_WORDS)


def default_path() -> Path:
    """Return the defaults' file: beside the package in a checkout, under the environment's ``share`` when installed."""
    checkout = Path(__file__).parent.parent / "conf" / "default.toml"
    return checkout if checkout.exists() else Path(sys.prefix) / "share" / "bayeux-server" / "conf" / "default.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def _set(table: dict[str, Any], keys: Sequence[str], text: str) -> None:
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{'.'.join(keys)}: {key} is not a section")
    table[keys[-1]] = _value(text)


def _value(text: str) -> Any:
    """Read a value as TOML, or as plain text where it is none: ``--set server.host=0.0.0.0`` needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


_AT: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_STEP: Final = re.compile(r"[^.\[\]]+")
_UNKNOWN: Final = re.compile(r"contains unknown field `(?P<field>[^`]+)`")


def _explain(complaint: str, table: Any, kind: Any, prefix: str) -> str:
    at = _AT.search(complaint)
    path = at["path"] if at else ""
    unknown = _UNKNOWN.search(complaint)
    if unknown:
        key = ".".join(filter(None, [prefix, path, unknown["field"]]))
        return f"unknown key {key}; conf/default.toml lists all keys"
    key = ".".join(filter(None, [prefix, path])) or "the configuration"
    what = _AT.sub("", complaint)
    is_of_type = what.startswith("Invalid enum value") or "matching regex" in what
    wanted = _wanted(kind, path) if is_of_type else ""
    found = "(not shown)" if is_secret(key) else repr(_found(table, path))
    return f"{key} = {found}: {wanted or what[:1].lower() + what[1:]}"


def _wanted(kind: Any, path: str) -> str:
    """Return in words what a key takes: one of a few values, or what a pattern means. Nothing if no type tells."""
    for step in _STEP.findall(path):
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        if step.isdigit():
            kind = next(iter(get_args(kind)), None)
        else:
            kind = get_type_hints(kind, include_extras=True).get(step) if isinstance(kind, type) else None
    if get_origin(kind) is Literal:
        return "expected one of " + ", ".join(map(repr, get_args(kind)))
    meta = get_args(kind)[1] if get_origin(kind) is Annotated else None
    return f"expected {meta.description}" if meta is not None and meta.description else ""


def _found(table: Any, path: str) -> Any:
    for step in _STEP.findall(path):
        try:
            table = table[int(step)] if step.isdigit() else table[step]
        except (KeyError, IndexError, TypeError):
            return None
    return table

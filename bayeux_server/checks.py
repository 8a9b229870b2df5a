"""What a configuration must be besides well-typed: settings that cannot be used, alone or together."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.settings import Settings, SettingsError

#: Clients wait so many times the hold time for the answer to a connect.
PATIENCE: Final = 1.2
#: And so long for that to a handshake.
HANDSHAKE_MS: Final = 10_000

_REDIS_SCHEMES: Final = ("redis://", "rediss://", "unix://")


def check(settings: Settings, grammar: ChannelGrammar) -> None:
    """See that settings can be used.

    Raises:
        SettingsError: Naming the first key that cannot.
    """
    _refuse_open_doors(settings)
    for number, proxy in enumerate(settings.server.trusted_proxies):
        if not _is_address(proxy):
            raise SettingsError(f"server.trusted_proxies[{number}] = {proxy!r}: expected the address of one proxy")
    for key in ("lazy_channels", "persistent_channels"):
        check_channels(f"connect.{key}", getattr(settings.connect, key), grammar)
    _refuse_hasty_sockets(settings)
    backend = settings.backend
    if "redis" in (backend.broker, backend.history) and not backend.redis_url.startswith(_REDIS_SCHEMES):
        # The value may hold a password.
        raise SettingsError(f"backend.redis_url: expected it to begin with one of {', '.join(_REDIS_SCHEMES)}")


def _refuse_hasty_sockets(settings: Settings) -> None:
    """Faye opens its socket while it shakes hands and polls by HTTP, and turns to it when the poll is over."""
    idle_ms = settings.limits.idle_socket_timeout_ms
    needed_ms = round(PATIENCE * settings.connect.hold_timeout_ms) + HANDSHAKE_MS
    if idle_ms < needed_ms:
        raise SettingsError(
            f"limits.idle_socket_timeout_ms = {idle_ms}: expected at least {needed_ms}, {PATIENCE} times "
            f"connect.hold_timeout_ms and {HANDSHAKE_MS // 1_000} s to shake hands"
        )


def check_channels(key: str, names: Sequence[str], grammar: ChannelGrammar) -> None:
    """See that a list of channels and patterns has no other.

    Raises:
        SettingsError: Naming the first that is none.
    """
    for number, name in enumerate(names):
        try:
            grammar.parse(name)
        except RemoteError as error:
            raise SettingsError(f"{key}[{number}] = {name!r}: no channel or pattern ({error})") from None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _refuse_open_doors(settings: Settings) -> None:
    """Development lets everybody do everything: fine on loopback, and nowhere else by accident."""
    security = settings.security
    if security.mode != "development" or security.allow_development_beyond_loopback:
        return
    host = settings.server.host
    if host != "localhost" and not (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        raise SettingsError(
            f"server.host = {host!r}: with security.mode = 'development' anybody who reaches the server may read and "
            "write every channel. Use security.mode = 'rules' (conf/production.toml), or say "
            "security.allow_development_beyond_loopback = true."
        )

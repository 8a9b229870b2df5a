"""JSON Web Tokens as the extension ``authentication``, set in ``[extensions.authentication]``."""

from typing import Annotated

from msgspec import Meta, Struct

from bayeux_server.errors import LocalError
from bayeux_server.host import ExtensionContext
from bayeux_server.settings import SettingsError
from extensions.authentication.extension import AuthenticationExtension
from extensions.authentication.issuers import Issuer, check_issuers
from extensions.authentication.jwks import JwksKeys
from extensions.authentication.keys import ConfiguredKeys, Keys
from extensions.authentication.tokens import TokenVerifier, TrustedIssuer

Seconds = Annotated[float, Meta(gt=0, le=604_800)]


class AuthenticationConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[extensions.authentication]``.

    Attributes:
        issuers: Whom we trust.
        jwks_ttl_s: Age at which published keys are fetched anew, seconds; the old ones are used meanwhile.
        jwks_cooldown_s: Shortest time between two fetches, seconds.
        jwks_max_stale_s: How long keys last seen stay good while the issuer cannot be reached, seconds.
        jwks_timeout_s: How long a fetch may take, seconds.
    """

    issuers: Annotated[tuple[Issuer, ...], Meta(min_length=1)]
    jwks_ttl_s: Seconds = 300.0
    jwks_cooldown_s: Seconds = 30.0
    jwks_max_stale_s: Seconds = 86_400.0
    jwks_timeout_s: Seconds = 5.0


def authentication(context: ExtensionContext) -> AuthenticationExtension:
    """Return the extension as its section says; bearer tokens of HTTP requests are read by it too.

    Raises:
        SettingsError: Naming what cannot be used.
    """
    config = context.read_config(AuthenticationConfig)
    try:
        check_issuers(config.issuers)
        trusted = [TrustedIssuer(issuer, _keys(issuer, config, context)) for issuer in config.issuers]
    except LocalError as error:
        raise SettingsError(f"extensions.{error}") from error
    keys = tuple(source for each in trusted for source in each.keys)
    extension = AuthenticationExtension(context.server, TokenVerifier(trusted), keys)
    context.add_token_reader(extension.read_token)
    context.add_readiness("authentication", extension.unready)
    return extension


def _keys(issuer: Issuer, config: AuthenticationConfig, context: ExtensionContext) -> list[Keys]:
    sources: list[Keys] = [ConfiguredKeys(issuer)] if issuer.keys else []
    if issuer.jwks_url is not None:
        sources.append(
            JwksKeys(
                issuer.jwks_url,
                context.server.core.clock.now,
                ttl_s=config.jwks_ttl_s,
                cooldown_s=config.jwks_cooldown_s,
                max_stale_s=config.jwks_max_stale_s,
                timeout_s=config.jwks_timeout_s,
            )
        )
    return sources

"""Feature switches as the extension ``features``, set in ``[extensions.features]``.

``bayeux-server features`` turns them while the server runs.
Its section stands behind those of ``authentication``, ``presence``, ``care`` and ``authorization``.
"""

from typing import Annotated

from msgspec import Meta, Struct

from bayeux_server.host import ExtensionContext
from bayeux_server.settings import SettingsError
from extensions.care import STORE
from extensions.features.extension import FeaturesExtension
from extensions.features.members import TeamsOf
from extensions.features.rollout import Rollout


class FeaturesConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[extensions.features]``.

    Attributes:
        default_percentage: Of the users who get a feature that was never switched.
    """

    default_percentage: Annotated[int, Meta(ge=0, le=100)] = 100


def features(context: ExtensionContext) -> FeaturesExtension:
    """Return the extension as its section says.

    Raises:
        SettingsError: If there is no store before it.
    """
    config = context.read_config(FeaturesConfig)
    if STORE not in context.app:
        raise SettingsError("extensions.features: needs [extensions.care] before it")
    rollout = Rollout(
        context.app[STORE],
        TeamsOf(context.app),
        context.registry,
        default_percentage=config.default_percentage,
    )
    context.add_readiness("features", rollout.unready)
    return FeaturesExtension(context.server, context.app, rollout)

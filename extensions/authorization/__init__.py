"""Who may see what, as the extension ``authorization``, set in ``[extensions.authorization]``.

Other parts find :data:`DECISIONS` in the web application, and put there :data:`RELATIONS`.
"""

import os
from typing import Annotated, Literal

from msgspec import Meta, Struct

from bayeux_server.host import ExtensionContext
from bayeux_server.settings import SettingsError
from extensions.authorization.decisions import Decisions
from extensions.authorization.embedded import EmbeddedChecker
from extensions.authorization.extension import DECISIONS, RELATIONS, AppRelations, AuthorizationExtension
from extensions.authorization.ports import PermissionChecker
from extensions.authorization.revocation import Revocations
from extensions.authorization.schema import packaged_schema

__all__ = ["DECISIONS", "RELATIONS", "authorization"]

Seconds = Annotated[float, Meta(gt=0, le=3_600)]


class AuthorizationConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[extensions.authorization]``.

    Attributes:
        checker: ``embedded`` answers from our own database, ``spicedb`` asks a SpiceDB.
        decision_ttl_s: How long a decision lives while changes are not watched, seconds.
        watched_decision_ttl_s: How long it lives while they are.
        max_objects: Objects about which decisions are kept.
        spicedb_target: ``host:port`` of the SpiceDB.
        spicedb_token_env: Environment variable with its preshared key.
        spicedb_plaintext: Without encryption, on loopback.
        spicedb_plaintext_on_network: Without encryption, anywhere: whoever is on the way can read the key.
        spicedb_timeout_s: How long a call may take.
        spicedb_write_schema: Write our schema at the start.
        spicedb_mirror: Write the relations of our database there.
    """

    checker: Literal["embedded", "spicedb"] = "embedded"
    decision_ttl_s: Annotated[float, Meta(gt=0, le=5)] = 5.0
    watched_decision_ttl_s: Seconds = 60.0
    max_objects: Annotated[int, Meta(ge=1, le=10_000_000)] = 50_000
    spicedb_target: str = "127.0.0.1:50051"
    spicedb_token_env: str = "SPICEDB_TOKEN"  # noqa: S105 - the name of a variable
    spicedb_plaintext: bool = False
    spicedb_plaintext_on_network: bool = False
    spicedb_timeout_s: Seconds = 2.0
    spicedb_write_schema: bool = False
    spicedb_mirror: bool = False


def authorization(context: ExtensionContext) -> AuthorizationExtension:
    """Return the extension as its section says.

    Raises:
        SettingsError: Naming what cannot be used.
    """
    config = context.read_config(AuthorizationConfig)
    relations = AppRelations(context.app)
    revocations = Revocations(context.server)
    if config.checker == "embedded":
        checker: PermissionChecker = EmbeddedChecker(packaged_schema(), relations)
    else:
        checker = _spicedb(config, relations)
    decisions = Decisions(
        checker,
        context.server.core.clock.now,
        ttl_s=config.decision_ttl_s,
        watched_ttl_s=config.watched_decision_ttl_s,
        max_objects=config.max_objects,
        on_revoked=revocations.revoked,
    )
    revocations.decisions = decisions
    context.app[DECISIONS] = decisions
    context.add_readiness("authorization", decisions.unready)
    return AuthorizationExtension(context.server, context.app, decisions, revocations)


def _spicedb(config: AuthorizationConfig, relations: AppRelations) -> PermissionChecker:
    # gRPC takes a while to import, which a server without SpiceDB need not wait for.
    from extensions.authorization.mirror import MirroredChecker
    from extensions.authorization.spicedb import SpiceDBChecker
    from extensions.authorization.spicedb_client import Connection

    variable = config.spicedb_token_env
    token = os.environ.get(variable, "")
    if not token:
        raise SettingsError(f"extensions.authorization.spicedb_token_env = {variable!r}: that variable is empty")
    connection = Connection(
        config.spicedb_target,
        token,
        plaintext=config.spicedb_plaintext,
        plaintext_on_network=config.spicedb_plaintext_on_network,
        timeout_s=config.spicedb_timeout_s,
    )
    checker = SpiceDBChecker(packaged_schema(), connection, write_schema=config.spicedb_write_schema)
    return MirroredChecker(checker, relations) if config.spicedb_mirror else checker

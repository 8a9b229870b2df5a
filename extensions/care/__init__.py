"""The care layer as the extension ``care``, set in ``[extensions.care]``: tasks, members, the feed and notifications.

It keeps the store and serves the operations, over HTTP and as remote calls. In the configuration its section stands
behind ``audit`` and ``presence`` and before ``authorization`` and ``careflow``: extensions start in that order and stop
in reverse, and those behind it work on its store.
"""

from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from bayeux_server.errors import LocalError
from bayeux_server.host import ExtensionContext
from bayeux_server.settings import SettingsError
from channels.services.caller import Disclosures, Unobserved
from channels.services.care import CareService, Ports
from channels.stores.opening import store_at
from channels.stores.port import CareStore
from extensions.audit import AUDITOR
from extensions.authorization import RELATIONS
from extensions.care import openapi, remote_calls
from extensions.care.backlog import BacklogWatch
from extensions.care.extension import AppPermissions, CareExtension, StoreLife
from extensions.care.http import CareApi
from extensions.care.metrics import CareMetrics
from extensions.presence import LOCK_GUARD, PRESENCE

#: The store, for extensions that start after this one.
STORE: Final = web.AppKey("care_store", CareStore)


class CareConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[extensions.care]``.

    Attributes:
        store_url: ``sqlite:///path`` or ``postgresql://user:password@host/database``.
        migrate: Bring the database up to date at start; else ``bayeux-server db upgrade`` does.
        demo: Fill an empty database with the demo's teams, coordinators, members and tasks.
        keep_replies_h: Hours that answers to idempotency keys, and the ids of consumed events, are remembered.
        relation_changes_kept: Changes of relations kept for those who follow them.
    """

    store_url: str = "sqlite:///data/care.sqlite3"
    migrate: bool = True
    demo: bool = False
    keep_replies_h: Annotated[int, Meta(ge=1, le=8_760)] = 168
    relation_changes_kept: Annotated[int, Meta(ge=1_000)] = 100_000


def care(context: ExtensionContext) -> CareExtension:
    """Return the extension as its section says.

    Raises:
        SettingsError: Naming what cannot be used, or the extension that is missing.
    """
    config = context.read_config(CareConfig)
    try:
        store = store_at(config.store_url)
    except LocalError as error:
        raise SettingsError(f"extensions.care.store_url: {error}") from error
    if LOCK_GUARD not in context.app:
        raise SettingsError("extensions.care: needs [extensions.presence] before it")
    if not context.precedes("careflow"):
        # What is committed would be shown to nobody, and what services publish would be taken unseen.
        raise SettingsError("extensions.care: needs [extensions.careflow] behind it")
    metrics = CareMetrics(context.registry, context.server)
    auditor: Disclosures | None = context.app.get(AUDITOR)
    ports = Ports(
        store=store,
        permissions=AppPermissions(context.app),
        locks=context.app[LOCK_GUARD],
        clock=context.server.core.clock,
        disclosures=auditor or Unobserved(),
        conflicts=metrics,
        presence=context.app[PRESENCE],
    )
    service = CareService(ports)
    context.app[STORE] = store
    context.app[RELATIONS] = store
    remote_calls.serve(context.server, service)
    context.add_routes(CareApi(service, context.identify).routes())
    context.openapi.add(openapi.paths(), openapi.components())
    life = StoreLife(
        store,
        config.store_url,
        context.server.core.clock,
        migrate=config.migrate,
        demo=config.demo,
        keep_s=config.keep_replies_h * 3_600,
        relation_changes_kept=config.relation_changes_kept,
    )
    backlog = BacklogWatch(store, context.server.core.clock.wall)
    context.registry.register(backlog)
    extension = CareExtension(context.server, context.app, store, life, metrics, backlog)
    context.add_readiness("care_store", life.unready)
    return extension

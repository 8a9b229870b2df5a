"""Authorization as an extension: puts the decisions to work in the server, and starts and stops them with it."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog
from aiohttp import web

from bayeux_server.errors import LocalError
from bayeux_server.protocol.messages import Message
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from channels.policy import CARE_ROOTS, SYSTEM_ROLE, edit_task
from channels.presence.model import Person
from channels.relations import Relation, RelationChange, RelationSource
from channels.views import scrub_log
from extensions.audit import AUDITOR
from extensions.authorization.decisions import Decisions
from extensions.authorization.event_types import EventTypes, check_event_types
from extensions.authorization.ports import Check
from extensions.authorization.revocation import Revocations
from extensions.authorization.security import CareSecurity
from extensions.authorization.views import CareViews
from extensions.authorization.wording import InReadersWords
from extensions.presence import PRESENCE
from extensions.presence.editors import EditorsOnly

#: Decisions, for whoever has to ask. They are a :class:`channels.services.caller.Permissions`.
DECISIONS: Final = web.AppKey("decisions", Decisions)
#: Where the relations are. Whoever keeps the store sets it before the server starts.
RELATIONS: Final = web.AppKey("relations", RelationSource)


class AppRelations:
    """The relations of whatever store the application has when they are first asked for."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    async def snapshot(self) -> tuple[int, Sequence[Relation]]:
        """See :meth:`RelationSource.snapshot`."""
        return await self._source().snapshot()

    def changes(self, after_revision: int) -> AsyncIterator[Sequence[RelationChange]]:
        """See :meth:`RelationSource.changes`."""
        return self._source().changes(after_revision)

    def _source(self) -> RelationSource:
        source = self._app.get(RELATIONS)
        if source is None:
            raise LocalError("authorization: no store has said where the relations are")
        return source


class AuthorizationExtension(Extension):
    """Sees to it that a care channel shows nobody more than the relations allow."""

    name = "authorization"

    def __init__(
        self, server: BayeuxServer, app: web.Application, decisions: Decisions, revocations: Revocations
    ) -> None:
        self._server = server
        self._app = app
        self._decisions = decisions
        self.revocations = revocations
        event_types = EventTypes()
        self._views = CareViews(decisions, event_types)
        core = server.core
        core.policy = CareSecurity(core.policy, decisions)
        for root in sorted(CARE_ROOTS):
            server.set_view_policy(f"/{root}/**", self._views)
        server.set_view_policy("/activity_feed/**", InReadersWords(self._views))
        core.on_subscribed += [event_types.subscribed, revocations.subscribed]
        core.on_unsubscribed += [event_types.unsubscribed, revocations.unsubscribed]

    def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        """Refuse a subscribe that asks for types of event in a form we do not know."""
        check_event_types(message)

    async def start(self) -> None:
        """See :meth:`Extension.start`."""
        _scrub_logs()
        auditor = self._app.get(AUDITOR)
        if auditor is not None:
            self._views.audit = auditor
            self.revocations.on_enforced = auditor.revoked
        presence = self._app.get(PRESENCE)
        if presence is not None:
            presence.service.may_edit = self._may_edit
            presence.views = self._views
            self._server.set_view_policy("/task/*", EditorsOnly(presence.is_warned, then=self._views))
            if auditor is not None:
                presence.service.audit = auditor.taken_over
        await self._decisions.start()

    async def stop(self) -> None:
        """See :meth:`Extension.stop`."""
        await self._decisions.stop()

    async def _may_edit(self, person: Person, task_id: str) -> bool:
        return person.user_role == SYSTEM_ROLE or await self._decisions.check(
            Check(person.user_id, *edit_task(task_id))
        )


def _scrub_logs() -> None:
    """Put the last guard before the renderer of log lines. The server itself does not know which fields are PHI."""
    processors = structlog.get_config()["processors"]
    if scrub_log not in processors:
        processors.insert(len(processors) - 1, scrub_log)
